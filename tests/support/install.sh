#!/bin/sh
# What the tests need of the system, beside Python: PostgreSQL's server and, where Go can build the rest of it, what a
# Kubernetes node runs on. Installed here where that takes no question (root on Debian or Ubuntu, and it is missing);
# elsewhere the tests use what there is and say at the end what was not.
set -eu

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive

has() {
    command -v "$1" >/dev/null 2>&1
}
install_packages() {
    apt-get install --quiet --quiet --yes --no-install-recommends "$@" >/dev/null 2>&1
}
# try COMMAND: once as it is, once with new lists of packages
try() {
    "$1" || { apt-get update --quiet --quiet >/dev/null 2>&1 && "$1"; } || true
}

has_postgres() {
    has initdb || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1
}
# The tests start servers of their own: nothing is to run beside them.
without_a_cluster() {
    sed -i 's/^#*create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
}
install_postgres() {
    install_packages postgresql-common && without_a_cluster && install_packages postgresql
}
if ! has_postgres && [ -z "${LLMGOV_TEST_POSTGRES:-}" ]; then
    echo "Installing PostgreSQL's server for the tests (apt-get install postgresql)"
    try install_postgres
    has_postgres || echo "PostgreSQL's server could not be installed: the tests that need it will be listed at the end"
fi

missing_for_a_node() {
    has containerd || echo containerd
    has runc || echo runc
    has nft || echo nftables
    [ -e /usr/lib/cni/bridge ] || [ -e /opt/cni/bin/bridge ] || echo containernetworking-plugins
    dpkg-query --status busybox-static >/dev/null 2>&1 || echo busybox-static
}
install_node() {
    # shellcheck disable=SC2046 # one word a package
    install_packages $(missing_for_a_node)
}
if has go && [ -n "$(missing_for_a_node)" ]; then
    echo "Installing what a Kubernetes node needs for the tests (apt-get install" $(missing_for_a_node)")"
    try install_node
    [ -z "$(missing_for_a_node)" ] || echo "It could not be installed: the tests that need it will be listed at the end"
fi
