"""Bind a methodology version by publishing: one set of options among bound versions, any number before."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_visible_sets'),
        ('allocation', '0007_row_level_security'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='methodologyversion',
            name='methodology_version',
        ),
        migrations.AddConstraint(
            model_name='methodologyversion',
            constraint=models.UniqueConstraint(fields=('provider', 'name', 'version', 'gwp_set', 'options_digest'), name='methodology_version_options'),
        ),
        migrations.AddConstraint(
            model_name='methodologyversion',
            constraint=models.UniqueConstraint(condition=models.Q(('bound_at__isnull', False)), fields=('provider', 'name', 'version'), name='methodology_version_bound'),
        ),
    ]
