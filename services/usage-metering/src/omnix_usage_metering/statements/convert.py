"""Statements to protobuf."""

from collections.abc import Iterable

from omnix.common.v1 import caller_pb2
from omnix.usage.v1 import statement_pb2 as pb
from omnix_kit.convert import timestamp

from omnix_usage_metering.statements.statement import Line, Statement


def statement_to_proto(statement: Statement) -> pb.Statement:
    made = pb.Statement(
        tenant_id=statement.tenant_id,
        month=statement.month,
        totals=[
            pb.StatementTotal(
                currency=each.currency,
                billed_micros=each.billed_micros,
                adjustment_micros=each.adjustment_micros,
                credit_micros=each.credit_micros,
                due_micros=each.due_micros,
            )
            for each in statement.amounts
        ],
        models=_lines(statement.models),
        teams=_lines(statement.teams),
        keys=_lines(statement.keys),
        adjustments=[
            pb.StatementAdjustment(month=each.month, currency=each.currency, amount_micros=each.amount_micros)
            for each in statement.adjustments
        ],
    )
    if statement.close_time is not None:
        made.close_time.CopyFrom(timestamp(statement.close_time))
        made.closer.CopyFrom(caller_pb2.Caller(user_id=statement.user_id, key_id=statement.key_id))
    return made


def _lines(lines: Iterable[Line]) -> list[pb.StatementLine]:
    return [
        pb.StatementLine(
            name=line.name,
            currency=line.currency,
            attempts=line.attempts,
            input_tokens=line.input_tokens,
            output_tokens=line.output_tokens,
            billed_micros=line.billed_micros,
        )
        for line in lines
    ]
