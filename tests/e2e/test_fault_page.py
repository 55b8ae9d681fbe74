"""The page of faults is what the table says, and the table is what was promised."""

from e2e.fault_page import PAGE, page
from e2e.fault_table import FAULTS


def test_page_is_current() -> None:
    assert PAGE.read_text() == page(), "write it anew: cd tests && python -m e2e.fault_page"


def test_faults_are_many_and_each_is_one() -> None:
    words = [fault.words for fault in FAULTS]
    assert len(set(words)) == len(words) >= 30


def test_who_differs_says_why_and_in_what() -> None:
    for fault in FAULTS:
        for vendor, differently in fault.differently.items():
            assert differently.because
            for streamed in (False, True):
                own = differently.streamed if streamed else differently.unary
                row = fault.streamed if streamed else fault.unary
                assert own != row, f"{fault.words}: {vendor} does not differ"
