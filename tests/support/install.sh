#!/bin/sh
# What the tests need of the system, beside Python: PostgreSQL's server. Installed here where that takes no question
# (root on Debian or Ubuntu, and it is missing); elsewhere the tests use what there is and say at the end what was not.
set -eu

has_postgres() {
    command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1
}

if has_postgres || [ -n "${LLMGOV_TEST_POSTGRES:-}" ] || [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    exit 0
fi

echo "Installing PostgreSQL's server for the tests (apt-get install postgresql)"
export DEBIAN_FRONTEND=noninteractive
install_packages() {
    apt-get install --quiet --quiet --yes --no-install-recommends "$@" >/dev/null 2>&1
}
# The tests start servers of their own: nothing is to run beside them.
without_a_cluster() {
    sed -i 's/^#*create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
}
install_all() {
    install_packages postgresql-common && without_a_cluster && install_packages postgresql
}
install_all || { apt-get update --quiet --quiet >/dev/null 2>&1 && install_all; } || true
has_postgres || echo "PostgreSQL's server could not be installed: the tests that need it will be listed at the end"
