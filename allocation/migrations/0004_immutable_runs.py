"""Let the database itself refuse illegal transitions and any change of what was published.

Ledger rows, totals and everything a run wrote can be changed only while the run is unpublished; publications never.
Triggers on the partitioned tables fire for attached partitions only, so that loading a partition pays nothing for them.
"""

from django.db import migrations

FORWARDS = """
CREATE FUNCTION allocation_guard_run() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    legal jsonb := '{
        "queued": ["reading", "failed", "withdrawn"],
        "reading": ["allocating", "queued", "failed", "withdrawn"],
        "allocating": ["writing", "queued", "reading", "failed", "withdrawn"],
        "writing": ["proving", "queued", "reading", "failed", "withdrawn"],
        "proving": ["ready", "queued", "reading", "failed", "withdrawn"],
        "ready": ["published", "withdrawn"],
        "published": ["superseded", "withdrawn"],
        "superseded": ["published"],
        "failed": [],
        "withdrawn": []
    }';
    settled text[] := ARRAY['ready', 'published', 'superseded', 'failed', 'withdrawn'];
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.state IN ('published', 'superseded') THEN
            RAISE EXCEPTION 'run % was published and is kept', OLD.id USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN OLD;
    END IF;
    IF NEW.state <> OLD.state AND NOT (legal -> OLD.state ? NEW.state) THEN
        RAISE EXCEPTION 'run %: % may not follow %', OLD.id, NEW.state, OLD.state USING ERRCODE = 'check_violation';
    END IF;
    IF (NEW.id, NEW.provider_id, NEW.month, NEW.package_id, NEW.methodology_version_id, NEW.generation,
        NEW.input_digest) IS DISTINCT FROM
       (OLD.id, OLD.provider_id, OLD.month, OLD.package_id, OLD.methodology_version_id, OLD.generation,
        OLD.input_digest)
    THEN
        RAISE EXCEPTION 'run %: what it computes cannot be changed', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    IF OLD.state = ANY (settled)
        AND (to_jsonb(NEW) - 'state') - 'publish_when_ready' IS DISTINCT FROM
            (to_jsonb(OLD) - 'state') - 'publish_when_ready'
    THEN
        RAISE EXCEPTION 'run % is % and cannot be changed', OLD.id, OLD.state USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard_run BEFORE UPDATE OR DELETE ON allocation_allocationrun
    FOR EACH ROW EXECUTE FUNCTION allocation_guard_run();

CREATE FUNCTION allocation_guard_part() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    part record;
BEGIN
    IF TG_OP = 'INSERT' THEN part := NEW; ELSE part := OLD; END IF;
    IF EXISTS (SELECT FROM allocation_publication WHERE run_id = part.run_id) THEN
        RAISE EXCEPTION 'run % was published, % cannot be changed', part.run_id, TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER guard_part BEFORE INSERT OR UPDATE OR DELETE ON allocation_ledgerrow
    FOR EACH ROW EXECUTE FUNCTION allocation_guard_part();
CREATE TRIGGER guard_part BEFORE INSERT OR UPDATE OR DELETE ON allocation_accounttotal
    FOR EACH ROW EXECUTE FUNCTION allocation_guard_part();
CREATE TRIGGER guard_part BEFORE INSERT OR UPDATE OR DELETE ON allocation_runchunk
    FOR EACH ROW EXECUTE FUNCTION allocation_guard_part();
CREATE TRIGGER guard_part BEFORE INSERT OR UPDATE OR DELETE ON allocation_runproof
    FOR EACH ROW EXECUTE FUNCTION allocation_guard_part();
CREATE TRIGGER guard_part BEFORE INSERT OR UPDATE OR DELETE ON allocation_runlocation
    FOR EACH ROW EXECUTE FUNCTION allocation_guard_part();
CREATE TRIGGER guard_part BEFORE INSERT OR UPDATE OR DELETE ON allocation_runinput
    FOR EACH ROW EXECUTE FUNCTION allocation_guard_part();
CREATE TRIGGER guard_part BEFORE INSERT OR UPDATE OR DELETE ON allocation_runfinding
    FOR EACH ROW EXECUTE FUNCTION allocation_guard_part();

CREATE FUNCTION allocation_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% keeps every row as it was written', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER refuse BEFORE UPDATE OR DELETE ON allocation_publication
    FOR EACH ROW EXECUTE FUNCTION allocation_refuse();
CREATE TRIGGER refuse BEFORE UPDATE OR DELETE ON allocation_withdrawal
    FOR EACH ROW EXECUTE FUNCTION allocation_refuse();
CREATE TRIGGER refuse BEFORE UPDATE OR DELETE ON allocation_containertotal
    FOR EACH ROW EXECUTE FUNCTION allocation_refuse();
CREATE TRIGGER refuse BEFORE UPDATE ON allocation_runtransition
    FOR EACH ROW EXECUTE FUNCTION allocation_refuse();

-- Ids are computed (allocation.exchange.write), so that they do not depend on who wrote first.
ALTER TABLE allocation_ledgerrow ALTER COLUMN id DROP DEFAULT;
DROP SEQUENCE allocation_ledgerrow_id_seq;
-- Nearly every row is an ordinary one; COPY leaves the column out.
ALTER TABLE allocation_ledgerrow ALTER COLUMN special SET DEFAULT 0;
"""

BACKWARDS = """
ALTER TABLE allocation_ledgerrow ALTER COLUMN special DROP DEFAULT;
CREATE SEQUENCE allocation_ledgerrow_id_seq CACHE 100;
ALTER TABLE allocation_ledgerrow ALTER COLUMN id SET DEFAULT nextval('allocation_ledgerrow_id_seq');
DROP FUNCTION allocation_refuse() CASCADE;
DROP FUNCTION allocation_guard_part() CASCADE;
DROP FUNCTION allocation_guard_run() CASCADE;
"""


class Migration(migrations.Migration):

    dependencies = [("allocation", "0003_run_guards")]

    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
