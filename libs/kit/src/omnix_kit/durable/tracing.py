"""What was done with a message, in the traces of those whose events it brought."""

from nats.aio.msg import Msg

from omnix_kit import telemetry


def trace_consumed(message: Msg, service: str, began_ns: int, *, went_well: bool) -> None:
    """Record the past: the message was taken by ``service`` at ``began_ns``, and dealt with now.

    :param went_well: False when the batch that it was in met a failure of infrastructure.
    """
    headers = message.headers or {}
    told = headers.get(telemetry.TRACEPARENTS) or headers.get("traceparent") or ""
    for traceparent in told.split(","):
        trace = telemetry.read(traceparent)
        if trace is None:
            continue
        event = ".".join(message.subject.split(".")[:4])
        span = telemetry.Span(
            f"process {event}",
            {
                "messaging.system": "nats",
                "messaging.operation.type": "process",
                "messaging.operation.name": "process",
                "messaging.destination.template": f"{event}.*",
                "messaging.consumer.group.name": service,
            },
            kind=telemetry.Kind.CONSUMER,
            parent=trace,
            start_ns=began_ns,
        ).begin()
        if not went_well:
            span.failed("infrastructure")
        span.end()
