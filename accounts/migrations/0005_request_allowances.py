from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0004_lean_indexes'),
    ]

    operations = [
        migrations.CreateModel(
            name='RequestAllowance',
            fields=[
                ('asker', models.CharField(max_length=80, primary_key=True, serialize=False)),
                ('full_at', models.DateTimeField()),
            ],
        ),
        # Written with every request, worth nothing after a crash.
        migrations.RunSQL(
            'ALTER TABLE accounts_requestallowance SET UNLOGGED',
            'ALTER TABLE accounts_requestallowance SET LOGGED',
        ),
    ]
