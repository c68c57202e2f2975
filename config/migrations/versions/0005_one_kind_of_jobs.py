"""Shub's jobs are kept as hermes's are: the request as it was asked, and beside it what it was resolved to"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("audio_jobs") as table:
        table.add_column(sa.Column("state", sa.JSON(), nullable=True))
        table.add_column(sa.Column("done_bytes", sa.BigInteger(), nullable=True))
        table.add_column(sa.Column("total_bytes", sa.BigInteger(), nullable=True))
    jobs = sa.table("audio_jobs", sa.column("id"), sa.column("request", sa.JSON()), sa.column("state", sa.JSON()))
    connection = op.get_bind()
    for id_, order in connection.execute(sa.select(jobs.c.id, jobs.c.request)).all():
        # Until now `request` was what had been resolved already: a mix of stems.
        inputs = [{name: stem[name] for name in ("asset_id", "sha256", "name")} for stem in order["stems"]]
        connection.execute(sa.update(jobs).where(jobs.c.id == id_).values(state=order | {"inputs": inputs}))
    with op.batch_alter_table("audio_jobs") as table:
        table.alter_column("state", existing_type=sa.JSON(), nullable=False)
    op.create_index("ix_audio_jobs_kind", "audio_jobs", ["kind", "id"])


def downgrade() -> None:
    op.drop_index("ix_audio_jobs_kind", "audio_jobs")
    jobs = sa.table("audio_jobs", sa.column("request", sa.JSON()), sa.column("state", sa.JSON()))
    op.get_bind().execute(sa.update(jobs).values(request=jobs.c.state))
    with op.batch_alter_table("audio_jobs") as table:
        for column in ("state", "done_bytes", "total_bytes"):
            table.drop_column(column)
