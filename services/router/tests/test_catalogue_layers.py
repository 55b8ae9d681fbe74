"""Of the package, an import and the operator's file: which one wins."""

from datetime import UTC, datetime

from omnix_kit.money import Price, Rates, Tier
from omnix_router.catalogue.layers import layered
from omnix_router.catalogue.models import Model


def day(number: int) -> datetime:
    return datetime(2026, 11, number, tzinfo=UTC)


def price(since: int, output: int, **more: int) -> Price:
    return Price("USD", day(since), Rates(10, output, **more))


def merged(own: tuple[Price, ...], imported: tuple[Price, ...]) -> tuple[Price, ...]:
    package, other = Model("p", "m", prices=own), Model("p", "m", prices=imported)
    return layered({"p/m": package}, {"p/m": other}, {})["p/m"].prices


def test_package_says_what_a_model_can_do_and_the_import_what_it_does_not_know() -> None:
    package = Model("p", "m", capabilities=("text",), context_window=5, aliases=("short",))
    imported = Model("p", "m", capabilities=("text", "tools"), context_window=9, max_output_tokens=3, retires=day(9))
    assert layered({"p/m": package}, {"p/m": imported}, {}) == {
        "p/m": Model(
            "p", "m", capabilities=("text",), context_window=5, max_output_tokens=3, aliases=("short",), retires=day(9)
        )
    }


def test_import_adds_models_but_none_that_goes_by_an_alias() -> None:
    package, alias, more = Model("p", "m", aliases=("short",)), Model("p", "short"), Model("p", "more")
    assert layered({"p/m": package}, {"p/short": alias, "p/more": more}, {}) == {"p/m": package, "p/more": more}


def test_operators_entry_replaces_both() -> None:
    own = Model("p", "m", title="mine")
    assert layered({"p/m": Model("p", "m")}, {"p/m": Model("p", "m", title="theirs")}, {"p/m": own}) == {"p/m": own}


def test_imported_price_holds_from_its_day_on_and_the_past_stays() -> None:
    assert merged((price(1, 20),), (price(5, 30),)) == (price(1, 20), price(5, 30))


def test_price_of_the_package_from_a_later_day_wins_from_that_day_on() -> None:
    assert merged((price(1, 20), price(9, 40)), (price(5, 30),)) == (price(1, 20), price(5, 30), price(9, 40))


def test_imported_price_that_says_nothing_new_is_left_away() -> None:
    detailed = Price("USD", day(1), Rates(10, 20, cached_input=1, long_cache_write=9), (Tier(5, Rates(20, 40)),), 5, 10)
    assert merged((detailed,), (price(5, 20, cached_input=1),)) == (detailed,)


def test_detail_that_changed_leaves_the_others_as_they_were() -> None:
    tiers = (Tier(5, Rates(20, 40)),)
    detailed = Price("USD", day(1), Rates(10, 20, cached_input=1, long_cache_write=9), tiers, 5, 10)
    assert merged((detailed,), (price(5, 20, cached_input=2),)) == (
        detailed,
        Price("USD", day(5), Rates(10, 20, cached_input=2, long_cache_write=9), tiers, 5, 10),
    )


def test_imported_prices_follow_each_other() -> None:
    assert merged((price(1, 20),), (price(5, 20), price(6, 30), price(7, 20))) == (
        price(1, 20),
        price(6, 30),
        price(7, 20),
    )


def test_imported_price_takes_the_place_of_the_packages_of_the_same_day() -> None:
    assert merged((price(1, 20),), (price(1, 30),)) == (price(1, 30),)


def test_model_without_a_price_gets_the_imported_one() -> None:
    assert merged((), (price(5, 30),)) == (price(5, 30),)
