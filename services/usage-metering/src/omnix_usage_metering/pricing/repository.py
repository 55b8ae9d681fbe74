"""Rules and credits as they are stored. The tenant is part of every id and of every query."""

from dataclasses import asdict
from typing import Any

from omnix_store import Change, Document, DuplicateKeyError, Store, Where, index

from omnix_usage_metering.prices import price_from_document, price_to_document
from omnix_usage_metering.pricing.credits import Credit
from omnix_usage_metering.pricing.rules import MOST_OF_TENANT, Markup, Rule


class Repository:
    def __init__(self, store: Store) -> None:
        self._rules = store.collection("price_rules", indexes=[index("tenant_id", "rule_id")])
        self._credits = store.collection("credits", indexes=[index("tenant_id", "credit_id")])

    async def rule(self, tenant_id: str, rule_id: str) -> Rule | None:
        found = await self._rules.get(_key(tenant_id, rule_id))
        return None if found is None else _rule(found)

    async def rules(self, tenant_id: str) -> list[Rule]:
        page = await self._rules.find({"tenant_id": tenant_id}, sort=("rule_id",), limit=MOST_OF_TENANT)
        return [_rule(document) for document in page.documents]

    async def add_rule(self, rule: Rule) -> bool:
        """False when there is one of that id."""
        try:
            await self._rules.insert({"id": _key(rule.tenant_id, rule.rule_id), **_fields(rule)})
        except DuplicateKeyError:
            return False
        return True

    async def replace_rule(self, rule: Rule, former: int) -> bool:
        """False when it is no longer at the former version."""
        where: Where = {"id": _key(rule.tenant_id, rule.rule_id), "tenant_id": rule.tenant_id, "version": former}
        return await self._rules.update(where, Change(set=_fields(rule))) is not None

    async def delete_rule(self, tenant_id: str, rule_id: str) -> bool:
        return await self._rules.delete({"id": _key(tenant_id, rule_id), "tenant_id": tenant_id}) > 0

    async def credit(self, tenant_id: str, credit_id: str) -> Credit | None:
        found = await self._credits.get(_key(tenant_id, credit_id))
        return None if found is None else _credit(found)

    async def credits(self, tenant_id: str) -> list[Credit]:
        page = await self._credits.find({"tenant_id": tenant_id}, sort=("credit_id",), limit=MOST_OF_TENANT)
        return [_credit(document) for document in page.documents]

    async def add_credit(self, credit: Credit) -> bool:
        """False when there is one of that id."""
        try:
            await self._credits.insert({"id": _key(credit.tenant_id, credit.credit_id), **asdict(credit)})
        except DuplicateKeyError:
            return False
        return True


def _key(tenant_id: str, id: str) -> str:
    return f"{id}/{tenant_id}"  # neither a rule's id nor a credit's has a slash


def _fields(rule: Rule) -> dict[str, Any]:
    markup, price = (rule.amount, None) if isinstance(rule.amount, Markup) else (None, rule.amount)
    return {
        "rule_id": rule.rule_id,
        "tenant_id": rule.tenant_id,
        "model_pattern": rule.model_pattern,
        "effective_time": rule.effective_time,
        "end_time": rule.end_time,
        "markup_basis_points": None if markup is None else markup.basis_points,
        "fixed_price": None if price is None else price_to_document(price),
        "currency": "" if price is None else price.currency,
        "version": rule.version,
        "create_time": rule.create_time,
        "update_time": rule.update_time,
    }


def _rule(document: Document) -> Rule:
    fixed, markup = document["fixed_price"], document["markup_basis_points"]
    return Rule(
        rule_id=document["rule_id"],
        tenant_id=document["tenant_id"],
        model_pattern=document["model_pattern"],
        effective_time=document["effective_time"],
        end_time=document["end_time"],
        amount=Markup(int(markup)) if fixed is None else price_from_document(fixed, document["currency"]),
        version=document["version"],
        create_time=document["create_time"],
        update_time=document["update_time"],
    )


def _credit(document: Document) -> Credit:
    return Credit(**{name: document[name] for name in Credit.__dataclass_fields__})
