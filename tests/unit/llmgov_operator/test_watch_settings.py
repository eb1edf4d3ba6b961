"""What kopf is told: a watch that does not end by itself is the one that hears nothing for ever."""

from llmgov_operator import watching


def test_every_wait_of_a_watch_has_an_end_and_the_server_s_comes_first() -> None:
    chosen = watching.settings(75)
    watch, network = chosen.watching, chosen.networking
    assert (watch.server_timeout, watch.client_timeout) == (240, 300)
    assert watch.inactivity_timeout == 75
    assert (watch.connect_timeout, network.connect_timeout, network.request_timeout) == (10, 10, 60)


def test_kopf_posts_no_events_and_does_not_kill_the_process() -> None:
    chosen = watching.settings()
    assert not chosen.posting.enabled
    assert chosen.process.ultimate_exiting_timeout is None
