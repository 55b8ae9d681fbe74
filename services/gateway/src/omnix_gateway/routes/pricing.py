"""``/v1/pricing`` and ``/v1/usage/rerate``: for admins."""

from typing import Any

import msgspec
from litestar import Request, Response, delete, get, post, put
from litestar.handlers import HTTPRouteHandler

from omnix_gateway.chat.decoding import decode
from omnix_gateway.clients import Router
from omnix_gateway.http.body import Bodies
from omnix_gateway.identity import Role
from omnix_gateway.ledger import convert, schema
from omnix_gateway.ledger.clients import Pricing
from omnix_gateway.routes.guards import identity_of, open_to
from omnix_gateway.routes.plain import answered

_rule_decoder = msgspec.json.Decoder(schema.PriceRuleRequest)
_credit_decoder = msgspec.json.Decoder(schema.CreditRequest)
_rerate_decoder = msgspec.json.Decoder(schema.RerateRequest)

AnyRequest = Request[Any, Any, Any]


def pricing_routes(pricing: Pricing, router: Router, bodies: Bodies, json_depth: int) -> list[HTTPRouteHandler]:
    guards = [open_to(Role.ADMIN)]

    @get("/v1/pricing/rules", guards=guards, name="list_price_rules")
    async def list_price_rules(request: AnyRequest) -> Response[bytes]:
        found = await pricing.rules(identity_of(request).tenant_id)
        return answered(schema.PriceRuleList(data=[convert.rule_from_proto(rule) for rule in found]))

    @get("/v1/pricing/rules/{rule_id:str}", guards=guards, name="get_price_rule")
    async def get_price_rule(request: AnyRequest) -> Response[bytes]:
        return answered(convert.rule_from_proto(await pricing.rule(identity_of(request).tenant_id, _id(request))))

    @put("/v1/pricing/rules/{rule_id:str}", guards=guards, name="put_price_rule")
    async def put_price_rule(request: AnyRequest) -> Response[bytes]:
        with bodies.in_hand() as in_hand:
            asked = decode(await in_hand.read(request.scope, request.receive), _rule_decoder, json_depth)
        answer = await pricing.put(convert.rule_to_proto(_id(request), asked, identity_of(request).tenant_id))
        return answered(convert.rule_from_proto(answer.rule), 201 if answer.created else 200)

    @delete("/v1/pricing/rules/{rule_id:str}", guards=guards, name="delete_price_rule", status_code=200)
    async def delete_price_rule(request: AnyRequest) -> Response[bytes]:
        await pricing.delete(identity_of(request).tenant_id, _id(request))
        return answered(schema.PriceRuleDeleted(id=_id(request)))

    @get("/v1/pricing/credits", guards=guards, name="list_credits")
    async def list_credits(request: AnyRequest) -> Response[bytes]:
        found = await pricing.credits(identity_of(request).tenant_id)
        return answered(schema.CreditList(data=[convert.credit_from_proto(credit) for credit in found]))

    @post("/v1/pricing/credits", guards=guards, name="create_credit", status_code=201)
    async def create_credit(request: AnyRequest) -> Response[bytes]:
        with bodies.in_hand() as in_hand:
            asked = decode(await in_hand.read(request.scope, request.receive), _credit_decoder, json_depth)
        answer = await pricing.give(convert.credit_to_proto(asked, identity_of(request).tenant_id))
        return answered(convert.credit_from_proto(answer.credit), 201)

    @post("/v1/usage/rerate", guards=guards, name="rerate_usage", status_code=200)
    async def rerate_usage(request: AnyRequest) -> Response[bytes]:
        with bodies.in_hand() as in_hand:
            asked = decode(await in_hand.read(request.scope, request.receive), _rerate_decoder, json_depth)
        catalogue = await router.models() if asked.prices == "catalogue" else []
        answer = await pricing.rerate(convert.rerate_to_proto(asked, catalogue, identity_of(request)))
        return answered(convert.rerating_from_proto(answer, is_dry=asked.dry_run))

    return [
        list_price_rules,
        get_price_rule,
        put_price_rule,
        delete_price_rule,
        list_credits,
        create_credit,
        rerate_usage,
    ]


def _id(request: AnyRequest) -> str:
    return str(request.path_params["rule_id"])
