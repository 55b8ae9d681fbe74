import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnix_sandbox.tokens import count_tokens, tokenize
from omnix_sandbox.words import ring_tokens, tokens_from


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        ("Hello world", ["Hell", "o", " wor", "ld"]),
        ("für Größe", ["für", " Grö", "ße"]),
        ("東京都", ["東京", "都"]),
        ("🚀🇨🇭", ["🚀", "🇨", "🇭"]),
        ("a\n\nb", ["a", "\n", "\nb"]),
    ],
)
def test_texts_are_cut_into_pieces_of_about_four_bytes(text: str, tokens: list[str]) -> None:
    assert tokenize(text) == tokens


@given(st.text())
def test_tokens_join_to_the_text_and_are_bounded(text: str) -> None:
    tokens = tokenize(text)

    assert "".join(tokens) == text
    assert all(1 <= len(token.encode("utf-8", "surrogatepass")) <= 7 for token in tokens)


@given(st.text(), st.integers(0, 50))
def test_a_text_cut_at_a_token_keeps_its_tokens(text: str, number: int) -> None:
    beginning = tokenize(text)[:number]

    assert tokenize("".join(beginning)) == beginning


@given(st.integers(0, 2**64 - 1), st.integers(0, 400))
def test_an_answer_has_exactly_the_tokens_asked_for(seed: int, number: int) -> None:
    tokens = tokens_from(seed, number)

    assert len(tokens) == number
    assert count_tokens("".join(tokens)) == number


def test_long_answers_go_round_the_ring() -> None:
    number = 3 * len(ring_tokens())

    assert count_tokens("".join(tokens_from(2**63 + 7, number))) == number
