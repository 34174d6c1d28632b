"""How much of a proved source rests on estimates; null in runs that were proved before."""

from django.db import migrations, models
from django.db.models import F, Q


class Migration(migrations.Migration):

    dependencies = [("allocation", "0019_sums_of_usage")]

    operations = [
        migrations.AddField(
            model_name="runproof",
            name="estimated_ug",
            field=models.DecimalField(blank=True, decimal_places=0, max_digits=38, null=True),
        ),
        migrations.AddConstraint(
            model_name="runproof",
            constraint=models.CheckConstraint(
                condition=Q(estimated_ug__range=(0, F("source_ug"))), name="run_proof_estimated"
            ),
        ),
    ]
