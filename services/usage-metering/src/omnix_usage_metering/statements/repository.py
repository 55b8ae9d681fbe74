"""Closed statements as they are stored: once, and never changed."""

from dataclasses import asdict

from omnix_store import Document, DuplicateKeyError, Store, index

from omnix_usage_metering.statements.statement import Adjustment, Amount, Line, Statement

_MOST = 1000


class Repository:
    def __init__(self, store: Store) -> None:
        self._statements = store.collection("statements", indexes=[index("tenant_id", "month")])

    async def closed(self, tenant_id: str) -> list[Statement]:
        """All of a tenant, by month."""
        page = await self._statements.find({"tenant_id": tenant_id}, sort=("month",), limit=_MOST)
        return [_statement(document) for document in page.documents]

    async def add(self, statement: Statement) -> bool:
        """False when the month has been closed already."""
        try:
            await self._statements.insert({"id": f"{statement.month}/{statement.tenant_id}", **asdict(statement)})
        except DuplicateKeyError:
            return False
        return True


def _statement(document: Document) -> Statement:
    return Statement(
        tenant_id=document["tenant_id"],
        month=document["month"],
        amounts=[Amount(**each) for each in document["amounts"]],
        models=[Line(**each) for each in document["models"]],
        teams=[Line(**each) for each in document["teams"]],
        keys=[Line(**each) for each in document["keys"]],
        adjustments=[Adjustment(**each) for each in document["adjustments"]],
        close_time=document["close_time"],
        user_id=document["user_id"],
        key_id=document["key_id"],
    )
