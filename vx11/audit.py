"""`vx11 audit verify`: whether the trail is still what was written."""

import sys

from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

from config import forensics, migrate
from config.settings import FleetSettings
from vx11.errors import CommandFailed


def verify(settings: FleetSettings) -> int:
    """Read every chain in the database and its file; exit status 1 with each place that was changed."""
    if migrate.current_revision(settings) is None:
        raise CommandFailed(f"there is no database in {settings.state_dir}")
    engine = create_engine(settings.sqlalchemy_url(driver="sync"))
    try:
        with engine.connect() as connection:
            checked, findings = forensics.verify(connection, settings.state_dir)
    except SQLAlchemyError as exc:
        raise CommandFailed(f"the database cannot be read: {str(exc).splitlines()[0]}") from exc
    finally:
        engine.dispose()
    for found in findings:
        print(f"{found.service} {found.table} row {found.seq}: {found.problem}", file=sys.stderr)
    print(f"{checked} audit rows read, {len(findings)} findings")
    return 1 if findings else 0
