"""A change of a few lines of a function of the database, for migrations; all the rest of it stays as it is."""

from django.db import migrations

_REPLACE = """
DO $do$
DECLARE
    before text := pg_get_functiondef('{function}'::regprocedure);
    after text := replace(before, $old${old}$old$, $new${new}$new$);
BEGIN
    IF after = before THEN
        RAISE EXCEPTION 'the function is not the one that is to be changed';
    END IF;
    EXECUTE after;
END $do$;
"""


def replaced_in(function: str, *, old: str, new: str) -> migrations.RunSQL:
    """Put `new` in the place of `old` in a function, and the other way round when the migration is taken back.

    Args:
        function: its signature, as PostgreSQL's `regprocedure` reads it.
        old: lines of its text.
        new: what stands there afterwards.
    """
    return migrations.RunSQL(
        _REPLACE.format(function=function, old=old, new=new), _REPLACE.format(function=function, old=new, new=old)
    )
