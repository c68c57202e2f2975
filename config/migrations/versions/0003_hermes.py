"""Hermes's jobs; the registry's tokens and turns"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "hermes_jobs",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("caller", sa.String(length=200), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("done_bytes", sa.BigInteger(), nullable=True),
        sa.Column("total_bytes", sa.BigInteger(), nullable=True),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_hermes_jobs_status", "hermes_jobs", ["status"])
    op.create_index("ix_hermes_jobs_kind", "hermes_jobs", ["kind", "id"])
    op.create_table(
        "external_tokens",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("service", sa.String(length=100), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("limit_per_day", sa.Integer(), nullable=True),
        sa.Column("used_today", sa.Integer(), nullable=False),
        sa.Column("used_on", sa.String(length=10), nullable=True),
        sa.Column("addresses", sa.JSON(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("renew_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("service"),
    )
    op.create_table(
        "cli_leases",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("cli_id", BIG_ID, nullable=False),
        sa.Column("caller", sa.String(length=200), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("returned_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["cli_id"], ["clis.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_cli_leases_cli", "cli_leases", ["cli_id", "taken_at"])


def downgrade() -> None:
    op.drop_table("cli_leases")
    op.drop_table("external_tokens")
    op.drop_table("hermes_jobs")
