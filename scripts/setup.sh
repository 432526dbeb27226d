#!/bin/sh
# Make .venv with `tri` in it, and see to it that the system packages that local hosts need are there.
#
# It can be run at any time: when everything is in place it returns at once. It asks apt for missing packages only as root;
# otherwise it says in one message what is missing and what to type, and goes on as far as it can.
#
#   PYTHON=python3.12 sh scripts/setup.sh     choose the interpreter (default: the first of python3, python3.13 … that is >= 3.11)
#   NO_APT=1 sh scripts/setup.sh              never install system packages
#   sh scripts/setup.sh systems               the databases of systems/ too, and their drivers
set -eu

cd "$(dirname "$0")/.."
root=$PWD
venv=$root/.venv
asked=${1:-}
stamp=$venv/.setup-stamp
log=$(mktemp "${TMPDIR:-/tmp}/tribulation-setup.XXXXXX")
policy=/usr/sbin/policy-rc.d
policy_is_ours=no
# Debian keeps sshd, nft and ip out of an ordinary user's PATH.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH

cleanup() {
    rm -f "$log"
    if [ "$policy_is_ours" = yes ]; then rm -f "$policy"; fi
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

say() { printf '%s\n' "$*" >&2; }

# fail MESSAGE HINT: exit code 4 means "the environment", as for tri itself.
fail() {
    say "setup: $1"
    say ""
    say "hint: $2"
    exit 4
}

# quietly WHAT COMMAND…: run it, and show its output only if it failed.
quietly() {
    what=$1
    shift
    say "setup: $what"
    if ! "$@" >"$log" 2>&1; then
        tail -n 30 "$log" >&2
        return 1
    fi
}

is_root() { [ "$(id -u)" -eq 0 ]; }
may_install() { is_root && [ -z "${NO_APT:-}" ] && command -v apt-get >/dev/null 2>&1; }
has() { command -v "$1" >/dev/null 2>&1; }

# One line for every Debian package whose work cannot be done by what is installed.
missing_packages() {
    has sshd || echo openssh-server
    has ip || echo iproute2
    has nft || echo nftables
    has iptables || echo iptables
    { has nsenter && has unshare; } || echo util-linux
    has tini || echo tini
    has ps || echo procps
    has gcc || echo gcc
    [ -e /usr/include/stdio.h ] || echo libc6-dev
    [ -z "$python" ] || is_usable || can_make_venv || echo python3-venv
    [ "$asked" != systems ] || missing_databases
}

missing_databases() {
    has etcd || echo etcd-server
    has redis-server || echo redis-server
    ls /usr/lib/postgresql/1[7-9]/bin/postgres /usr/lib/postgresql/[2-9]?/bin/postgres 2>/dev/null | grep -q . || wanted_postgres
    [ -e /usr/lib/rabbitmq/bin/rabbitmq-server ] || echo rabbitmq-server
}

# The version of Debian 13 where apt has it, or whatever this system's version is.
wanted_postgres() {
    if apt-cache show postgresql-17 >/dev/null 2>&1; then echo postgresql-17; else ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || echo postgresql; fi
}

# apt_install PACKAGE…: without starting any service. A freshly installed openssh-server would otherwise open this machine to logins,
# now (which policy-rc.d prevents) and at the next boot (which `stays_off` prevents).
apt_install() {
    export DEBIAN_FRONTEND=noninteractive
    if [ ! -e "$policy" ]; then
        policy_is_ours=yes
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    quietly "asking apt for: $*" apt-get -q -o DPkg::Lock::Timeout=120 update || say "setup: apt-get update failed; trying with the lists that are there"
    installed=yes
    quietly "installing: $*" apt-get -q -y -o DPkg::Lock::Timeout=120 install --no-install-recommends "$@" || installed=no
    case " $* " in *" openssh-server "*) stays_off ssh.service ssh.socket ;; esac
    case " $* " in *" etcd-server "*) stays_off etcd.service ;; esac
    case " $* " in *" redis-server "*) stays_off redis-server.service ;; esac
    case " $* " in *" postgresql"*) stays_off postgresql.service ;; esac
    case " $* " in *" rabbitmq-server "*) stays_off rabbitmq-server.service epmd.service epmd.socket ;; esac
    if [ "$policy_is_ours" = yes ]; then
        rm -f "$policy"
        policy_is_ours=no
    fi
    [ "$installed" = yes ]
}

# stays_off UNIT…: what was installed just now does not start at the next boot.
stays_off() {
    if [ "$installed" = yes ] && has systemctl; then
        systemctl disable "$@" >"$log" 2>&1 || say "setup: could not disable $1; it may start at the next boot"
    fi
}

ensure_system_packages() {
    # shellcheck disable=SC2046  # one package a word is what is wanted
    set -- $(missing_packages)
    [ $# -eq 0 ] && return
    if may_install && apt_install "$@"; then return; fi
    say "setup: missing on this machine: $*"
    case " $* " in
    *" python3-venv "*) say "setup: without python3-venv no environment can be made" ;;
    *) say "setup: going on without; local hosts (make demo) need them, the simulator and the checkers do not" ;;
    esac
    say ""
    say "hint: $(install_command "$*")"
}

install_command() {
    if is_root; then prefix=""; else prefix="sudo "; fi
    echo "${prefix}apt-get update && ${prefix}apt-get install --no-install-recommends $1"
}

new_enough() { has "$1" && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        new_enough "$PYTHON" || fail "PYTHON=$PYTHON is no Python >= 3.11" "name another interpreter, or unset PYTHON"
        echo "$PYTHON"
        return
    fi
    for candidate in python3 /usr/bin/python3 python3.13 python3.12 python3.11 python3.14; do
        if new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "no Python >= 3.11 among python3, python3.11 … python3.14" "install one, or name it: make setup PYTHON=/path/to/python3"
}

# Debian splits venv's own parts off into python3-venv; `ensurepip` is the one that is then missing.
can_make_venv() { "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; }

# What the environment was made from; any change brings it up to date.
fingerprint() {
    { cat requirements.lock pyproject.toml scripts/setup.sh; echo "$root"; readlink -f "$venv/bin/python"; } | sha256sum | cut -d ' ' -f 1
}

is_current() {
    [ -x "$venv/bin/tri" ] && [ -x "$venv/bin/python" ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(fingerprint)" ] && is_chosen_python
}

is_chosen_python() {
    [ -z "${PYTHON:-}" ] || [ "$(readlink -f "$venv/bin/python")" = "$("$PYTHON" -c 'import os, sys; print(os.path.realpath(sys.executable))' 2>/dev/null)" ]
}

# A moved or copied environment has scripts that point elsewhere; one whose Python was upgraded has lost its pip.
is_usable() {
    case "$(head -n 1 "$venv/bin/pip" 2>/dev/null)" in "#!$venv/bin/"*) ;; *) return 1 ;; esac
    is_chosen_python && new_enough "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1
}

make_venv() {
    if ! is_usable; then
        can_make_venv || exit 4
        quietly "making .venv with $("$python" -V)" "$python" -m venv --clear "$venv" || fail "could not make $venv" "see the output above"
    fi
    quietly "installing the pinned requirements (a minute or two the first time)" \
        "$venv/bin/python" -m pip install --disable-pip-version-check -q --require-hashes -r requirements.lock ||
        fail "pip could not install requirements.lock" "see the output above; it needs a package index that it can reach"
    quietly "installing tribulation itself" \
        "$venv/bin/python" -m pip install --disable-pip-version-check -q --no-deps --no-build-isolation -e . ||
        fail "pip could not install the project" "see the output above"
    fingerprint >"$stamp"
    say "setup: ready; try .venv/bin/tri --help"
}

python="" # the interpreter to make the environment with; stays empty when the environment is current
is_current || python=$(find_python)
ensure_system_packages
[ -z "$python" ] || make_venv
[ "$asked" != systems ] || quietly "installing the drivers of systems/" \
    "$venv/bin/python" -m pip install --disable-pip-version-check -q --require-hashes -r systems/requirements.lock ||
    fail "pip could not install systems/requirements.lock" "see the output above"
