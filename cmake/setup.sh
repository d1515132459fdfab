# Sourced by bench/run and tests/run. Installs what is missing, and only that.
#
#   setup_packages PACKAGE ...      Debian packages that have to be there
#   setup_build FLAVOUR [OPTION]    configures (-DNAME=VALUE) and builds build/FLAVOUR

setup_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
setup_build_packages=(cmake ninja-build gcc libc6-dev pkg-config libck-dev libxxhash-dev)
setup_test_packages=(libcriterion-dev liburcu-dev libjemalloc-dev g++ clang lld libclang-rt-14-dev patch dpkg-dev file doxygen)

setup_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
            missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0

    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "Missing packages: ${missing[*]}. Install them as root: apt-get install ${missing[*]}" >&2
            return 1
        fi
        as_root=(sudo)
    fi
    echo "Installing ${missing[*]}" >&2
    "${as_root[@]}" apt-get update -qq >&2 || return 1
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || {
        echo "apt-get could not install ${missing[*]}; see above" >&2
        return 1
    }
}

# Prints nothing unless it fails.
setup_quietly() {
    local log status
    log=$(mktemp)
    "$@" >"$log" 2>&1
    status=$?
    [ $status -eq 0 ] || cat "$log" >&2
    rm -f "$log"
    return $status
}

setup_build() {
    local flavour=$1 werror=OFF
    shift
    [ -n "${CI:-}" ] && werror=ON
    # What another script left in the cache does not count: every option is said.
    setup_quietly cmake -S "$setup_root" --preset "$flavour" -DVSR_WERROR=$werror -DVSR_TESTS=ON \
        "$@" || return 1
    setup_quietly cmake --build "$setup_root/build/$flavour" || return 1
}
