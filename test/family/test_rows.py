"""Which test covers which row of the fault list for which drain. Every test named here must exist, so the table cannot become
outdated.

Members of one transport share its tests: syslog+http(s), gelf+http(s), Loki, OTLP and Elasticsearch use requests (http_post.c); gelf+tcp
and gelf+tls use syslog's connections, gelf+udp its datagrams; redis and ws use the same connections (net/conn.c) as syslog, as
far as names, addresses and TLS are concerned. "family" is a test that runs over every member."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STREAM, DATAGRAM, REQUEST, ELASTIC, REDIS, WS = KINDS = ["stream", "datagram", "request", "elastic", "redis", "ws"]
ALL = "all"

ROWS = {
    "D01": {ALL: "family/test_family.py::test_refuse_for_ever", DATAGRAM: "e2e/test_syslog_udp.py::test_D01_nobody_listens_then_somebody_does"},
    "D02": {STREAM: "e2e/test_syslog.py::test_D02_never_reads", REQUEST: "e2e/test_http_net.py::test_D02_never_reads",
            REDIS: "e2e/test_redis_broken.py::test_D02_never_reads", WS: "e2e/test_ws_broken.py::test_D02_never_reads"},
    "D03": {STREAM: "e2e/test_syslog_frames.py::test_D03_reset_at_every_byte_of_a_frame",
            REQUEST: "e2e/test_http_net.py::test_D03_reset_at_every_byte",
            REDIS: "e2e/test_redis_broken.py::test_D03_cut_at_every_place_of_a_command",
            WS: "e2e/test_ws_broken.py::test_D03_cut_at_every_place"},
    "D04": {ALL: "family/test_family.py::test_D04_one_byte_a_second"},
    "D05": {STREAM: "e2e/test_syslog.py::test_D05_swallowed_lines_are_not_passed", REDIS: "e2e/test_redis_broken.py::test_D05_swallowed",
            REQUEST: "e2e/test_http_broken.py::test_D17_cut_after_the_verdict", WS: "e2e/test_ws_broken.py::test_D05_swallowed"},
    "D06": {ALL: "family/test_family.py::test_D06_blackhole", STREAM: "e2e/test_syslog.py::test_D06_killed_receiver",
            REDIS: "e2e/test_redis.py::test_killed_and_back", WS: "e2e/test_ws.py::test_receiver_restarts",
            ELASTIC: "e2e/test_elastic_real.py::test_restarted_while_lines_come"},
    "D07": {STREAM: "e2e/test_syslog.py::test_D07_idle_close", REQUEST: "e2e/test_http_modes.py::test_nginx_that_closes_kept_connections",
            REDIS: "e2e/test_redis.py::test_idle_connection_closed_by_the_server", WS: "e2e/test_ws.py::test_D22_closed_while_idle"},
    "D08": {ALL: "family/test_family.py::test_garbage_instead_of_tls", STREAM: "e2e/test_syslog_tls.py::test_D08_bad_certificates",
            REQUEST: "e2e/test_http_modes.py::test_D08_bad_certificates_of_https",
            REDIS: "e2e/test_redis.py::test_D08_bad_certificates", WS: "e2e/test_ws.py::test_D08_bad_certificates"},
    "D09": {STREAM: "e2e/test_syslog_commit.py::test_tls_end_without_close_notify"},
    "D10": {REQUEST: "e2e/test_http_answers.py::test_D10_retry_after_is_honoured", WS: "e2e/test_ws_broken.py::test_D10_retry_after"},
    "D11": {REQUEST: "e2e/test_http_answers.py::test_D11_error_storm", ELASTIC: "e2e/test_elastic.py::test_whole_requests_refused"},
    "D12": {REQUEST: "e2e/test_http_answers.py::test_D12_halved_down_to_one_line",
            ELASTIC: "e2e/test_elastic.py::test_D19_answers_too_long_to_read_make_requests_smaller",
            REDIS: "e2e/test_redis.py::test_larger_than_the_server_takes", WS: "e2e/test_ws_broken.py::test_D22_1009_halves"},
    "D13": {REQUEST: "e2e/test_http_answers.py::test_D13_poison_in_a_large_batch", ELASTIC: "e2e/test_elastic.py::test_D18_mixed_items",
            WS: "e2e/test_ws_broken.py::test_D22_bad_data_is_bisected"},
    "D14": {REQUEST: "e2e/test_http_answers.py::test_D14_suspended_and_nothing_skipped", ELASTIC: "e2e/test_elastic.py::test_D18_a_block_suspends",
            REDIS: "e2e/test_redis.py::test_D20_wrong_password_suspends", WS: "e2e/test_ws.py::test_D22_refused_upgrades_suspend"},
    "D15": {REQUEST: "e2e/test_http_answers.py::test_D15_redirects_are_not_followed",
            REDIS: "e2e/test_redis_broken.py::test_D20_D21_suspended", WS: "e2e/test_ws_broken.py::test_D15_redirects_are_not_followed"},
    "D16": {REQUEST: "e2e/test_http_broken.py::test_D16_broken_answer", ELASTIC: "e2e/test_elastic.py::test_D19_an_invalid_answer"},
    "D17": {REQUEST: "e2e/test_http_broken.py::test_D17_cut_after_the_verdict", ELASTIC: "e2e/test_elastic.py::test_lost_answers"},
    "D18": {ELASTIC: "e2e/test_elastic.py::test_D18_cursor_is_at_the_first_item_that_waits"},
    "D19": {ELASTIC: "e2e/test_elastic.py::test_D19_an_invalid_answer"},
    "D20": {REDIS: "e2e/test_redis_broken.py::test_D20_passes"},
    "D21": {REDIS: "e2e/test_redis_broken.py::test_D21_error_in_the_middle"},
    "D22": {WS: "e2e/test_ws_broken.py::test_D22_bad_frames"},
    "D23": {STREAM: "e2e/test_syslog_dns.py::test_D23_no_address", REQUEST: "e2e/test_http_net.py::test_D23_name_that_does_not_resolve"},
    "D24": {ALL: "e2e/test_egress.py::test_D24_no_scheme_gets_through"},
    "D25": {DATAGRAM: "e2e/test_syslog_udp.py::test_D25_large_lines"},
    "D26": {STREAM: "e2e/test_isolation.py::test_D26_a_thousand_dead_drains"},
    "D28": {STREAM: "e2e/test_syslog.py::test_D28_flapping"},
    "D29": {ALL: "family/test_family.py::test_noisy_pod_does_not_starve_a_quiet_one"},
    "D30": {STREAM: "e2e/test_syslog.py::test_D30_bad_urls_are_named_and_the_others_work",
            REQUEST: "e2e/test_http_modes.py::test_D30_bad_url_is_named_and_the_others_work", ALL: "e2e/test_cli.py::test_check_says_what_is_wrong"},
}


@pytest.mark.parametrize("row", ROWS)
def test_the_row_has_a_test(row):
    for kind, place in ROWS[row].items():
        assert kind in [ALL, *KINDS]
        path, _, name = place.partition("::")
        assert re.search(rf"^def {name}\(", (ROOT / path).read_text(), re.MULTILINE), f"{row}: no {place}"
