"""Hospitals for the tests of the house, on each kind of database."""

from tests.databases import postgres, sqlite_template
from tests.impostors import impostors
from tests.lab import database, lab, lab_authority

__all__ = ["database", "impostors", "lab", "lab_authority", "postgres", "sqlite_template"]
