"""Planted bugs of what the ledger does once another life of its database has begun."""

from llmgov.instants import Instant
from llmgov.ledger import epochs, lives, recovery, reopening, returns, settling
from llmgov.ledger.book import Book
from tests.simulator.bug import Replace, bug
from tests.simulator.violation import Invariant


@bug("failover", Invariant.RECOVERY)
def lends_while_it_recovers(replace: Replace) -> None:
    """After a failover the ledger lends at once."""
    is_open = lives.is_open

    def always(book: Book, now: Instant) -> bool:
        is_open(book, now)
        return True

    replace(lives, "is_open", always)


@bug("failover", Invariant.RECOVERY)
def lends_again_without_hearing_from_all(replace: Replace) -> None:
    """After a failover the ledger lends again after half a minute, whoever has not reported yet."""
    reopen = lives.reopen
    replace(lives, "reopen", lambda book, unreported, now: reopen(book, [], now))


@bug("failover", Invariant.RECOVERY)
def reports_are_not_taken_up(replace: Replace) -> None:
    """What holders report after a failover is heard, and nothing of it put into the ledger."""
    replace(recovery, "_take_up", lambda *arguments: None)
    replace(recovery, "_raise", lambda *arguments: None)


@bug("failover", Invariant.LEASED)
def lease_that_a_report_leaves_out_stays_lent(replace: Replace) -> None:
    """A lease whose last return the ledger has lost stays lent, though its holder reports without it."""
    replace(recovery, "_lose_unnamed", lambda *arguments: None)


@bug("failover", Invariant.RETURNED, Invariant.COUNTED, Invariant.LEASED)
def inventory_frees_what_an_earlier_life_lent(replace: Replace) -> None:
    """An inventory frees a lease whose attempts and end the ledger has lost, since no spool names it any more."""
    replace(lives, "is_of_this_life", lambda *arguments: True)


@bug("failover", Invariant.RETURNED, Invariant.COUNTED)
def strict_lease_of_an_earlier_life_is_freed(replace: Replace) -> None:
    """Of a lost pod's strict lease all comes back that no attempt on record claims, though a failover lost records."""
    replace(returns, "_tells_all", lambda lease, life: lease.strict_in > 0)


@bug("failover", Invariant.SUMS)
def lost_lease_is_not_brought_back_by_its_attempts(replace: Replace) -> None:
    """An attempt that names a lease that the ledger lost counts for its path, and again in what its holder reports."""
    replace(settling, "_bring_one_back", lambda *arguments: None)


@bug("failover", Invariant.SUMS)
def lost_window_is_not_opened_for_its_attempts(replace: Replace) -> None:
    """A lease cannot come back with an attempt, since its window was lost, too, and nobody opens that again."""
    replace(reopening, "lost", lambda *arguments: ())


@bug("failover", Invariant.FENCING, Invariant.ERROR, Invariant.SUMS)
def boots_are_numbered_on_from_what_is_known(replace: Replace) -> None:
    """After a failover boots get the numbers again that the ledger has lost."""
    replace(epochs, "_lives_before", lambda book: 0)
