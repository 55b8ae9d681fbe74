"""What is read from a model's id."""

import pytest
from omnix_adapter_bedrock.families import Family, Kind, family_of, vendor_of


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("anthropic.claude-3-7-sonnet-20250219-v1:0", Family(Kind.CLAUDE, (3, 7))),
        ("us.anthropic.claude-3-haiku-20240307-v1:0", Family(Kind.CLAUDE, (3, 0))),
        ("eu.anthropic.claude-sonnet-4-20250514-v1:0", Family(Kind.CLAUDE, (4, 0))),
        ("apac.anthropic.claude-opus-4-1-20250805-v1:0", Family(Kind.CLAUDE, (4, 1))),
        ("global.anthropic.claude-opus-4-6-v1", Family(Kind.CLAUDE, (4, 6))),
        ("anthropic.claude-sonnet-4-6", Family(Kind.CLAUDE, (4, 6))),
        ("anthropic.claude-opus-5", Family(Kind.CLAUDE, (5, 0))),
        ("jp.anthropic.claude-haiku-5-5", Family(Kind.CLAUDE, (5, 5))),
        ("anthropic.claude-fable-5-1", Family(Kind.CLAUDE, (5, 1))),
        ("anthropic.claude-mythos-preview", Family(Kind.CLAUDE, (99, 0))),
        ("anthropic.claude-v2:1", Family(Kind.CLAUDE, (2, 0))),
        ("anthropic.claude-instant-v1", Family(Kind.CLAUDE, (2, 0))),
        ("amazon.nova-pro-v1:0:300k", Family(Kind.NOVA)),
        ("us.amazon.nova-2-lite-v1:0", Family(Kind.NOVA_2)),
        ("amazon.titan-text-express-v1", Family(Kind.TITAN)),
        ("us.meta.llama4-scout-17b-instruct-v1:0", Family(Kind.LLAMA)),
        ("mistral.mistral-7b-instruct-v0:2", Family(Kind.MISTRAL)),
        ("cohere.command-r-plus-v1:0", Family(Kind.COHERE)),
        ("ai21.jamba-1-5-large-v1:0", Family(Kind.AI21)),
        ("openai.gpt-oss-20b-1:0", Family(Kind.GPT_OSS)),
        ("global.openai.gpt-5.6-sol", Family(Kind.GPT)),
        ("deepseek.v3.2", Family(Kind.OTHER)),
        (
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-4-5-20251101-v1:0",
            Family(Kind.CLAUDE, (4, 5)),
        ),
        ("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0", Family(Kind.NOVA)),
        ("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdef123456", Family(Kind.OPAQUE)),
        ("sandbox-tokens-5", Family(Kind.OPAQUE)),
        ("anthropic", Family(Kind.OPAQUE)),
        ("", Family(Kind.OPAQUE)),
    ],
)
def test_family_is_read_from_the_id(model: str, family: Family) -> None:
    assert family_of(model) == family


def test_vendor_is_told_where_the_id_names_it() -> None:
    assert vendor_of("us.anthropic.claude-opus-5") == "anthropic"
    assert vendor_of("arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abcdef123456") == ""
