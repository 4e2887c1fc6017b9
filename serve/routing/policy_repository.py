"""Stores the policy that the operator chose while the gateway ran."""

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from serve.identity.audit_repository import AuditRepository
from serve.identity.virtual_keys import DEFAULT_ACCOUNT
from serve.routing.chosen_policy import ChosenPolicy, chosen_policy
from serve.storage.identity_tables import CHOSEN_POLICY_TABLE

_SUBJECT = "policy"


class PolicyRepository:
    """Reads and changes the choice.

    Args:
        audit: Audit repository; every change is made in one of its transactions.
    """

    def __init__(self, audit: AuditRepository) -> None:
        self._audit = audit
        self._insert = postgresql.insert if audit.reading.dialect.name == "postgresql" else sqlite.insert

    def read(self) -> ChosenPolicy | None:
        """Return the operator's choice; None: the settings decide."""
        with self._audit.reading.connect() as connection:
            row = connection.execute(select(CHOSEN_POLICY_TABLE.c.policy, CHOSEN_POLICY_TABLE.c.number)).first()
        return None if row is None else chosen_policy(row.policy, row.number)

    def choose(self, chosen: ChosenPolicy, actor: str) -> None:
        """Store a choice; every worker follows within a second."""
        values = {"policy": chosen.policy, "number": chosen.number}
        with self._audit.change(
            DEFAULT_ACCOUNT, actor, "setting.choose", _SUBJECT, policy=chosen.policy, number=chosen.number
        ) as connection:
            statement = self._insert(CHOSEN_POLICY_TABLE).values(singleton=1, **values)
            connection.execute(statement.on_conflict_do_update(index_elements=["singleton"], set_=values))

    def take_back(self, actor: str) -> None:
        """Delete the choice, so that the settings decide again."""
        with self._audit.change(DEFAULT_ACCOUNT, actor, "setting.take_back", _SUBJECT) as connection:
            connection.execute(delete(CHOSEN_POLICY_TABLE))
