# What scripts/kafka and scripts/registry share, read by both with `source`: servers on a JVM, without Docker, from Maven Central.
#
# They set TOOL (the script's name), PARTS (its folder with a pom.xml and Java tools) and HOME_DIR (where jars, compiled tools and
# instances are kept) first.
# shellcheck shell=bash

readonly FETCH_TIMEOUT_S=600
# shellcheck disable=SC2034  # the scripts use it
readonly START_TIMEOUT_S=120

# --- jars and tools -------------------------------------------------------------------------------------------------

# Named after what they are made of, so that a new version or a changed tool never meets an old copy.
jars_dir() { echo "$HOME_DIR/jars-$(cksum <"$PARTS/pom.xml" | cut -d' ' -f1)"; }
tools_dir() { echo "$HOME_DIR/tools-$(cat "$PARTS/pom.xml" "$PARTS"/*.java | cksum | cut -d' ' -f1)"; }
classpath() { echo "$(tools_dir):$(jars_dir)/*"; }

# Makes each folder that is missing, once, however many ask at the same time.
fetch() {
    need java "default-jdk-headless"
    [[ -d $(jars_dir) && -d $(tools_dir) ]] && return
    need javac "default-jdk-headless"
    need mvn "maven"
    mkdir -p "$HOME_DIR"
    local lock
    exec {lock}>"$HOME_DIR/fetch.lock"
    flock -w "$FETCH_TIMEOUT_S" "$lock" || fail "another fetch holds $HOME_DIR/fetch.lock"
    made_by fetch_jars "$(jars_dir)"
    made_by compile_tools "$(tools_dir)"
    exec {lock}>&-
}

# made_by COMMAND FOLDER: a folder is there whole or not at all.
made_by() {
    [[ -d $2 ]] && return
    rm -rf "$2.part"
    "$1" "$2.part"
    mv "$2.part" "$2"
}

fetch_jars() {
    maven dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$1"
}

compile_tools() {
    javac -d "$1" -cp "$(jars_dir)/*" "$PARTS"/*.java
}

maven() {
    timeout "$FETCH_TIMEOUT_S" mvn --quiet --batch-mode -Dstyle.color=never --file "$PARTS/pom.xml" "$@" >&2 ||
        fail "mvn could not fetch what $PARTS/pom.xml names"
}

# One short-lived JVM: quick to start rather than quick to run.
run_tool() {
    java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto -Xmx256m \
        -Dlog4j2.configurationFile="$HERE/kafka.d/log4j2-tools.properties" -cp "$(classpath)" "$@"
}

# --- processes ------------------------------------------------------------------------------------------------------

# is_alive FOLDER MARK: whether the process of FOLDER/pid lives and has MARK in its command line: a process id that was used again
# is not ours, and a zombie has no command line.
is_alive() {
    local pid
    pid=$(cat "$1/pid" 2>/dev/null) || return 1
    grep -qzF -e "$2" "/proc/$pid/cmdline" 2>/dev/null
}

# end SIGNAL FOLDER MARK SECONDS: sends the signal and waits until the process has ended.
end() {
    is_alive "$2" "$3" || return 0
    kill "-$1" "$(<"$2/pid")" 2>/dev/null || true
    local deadline=$((SECONDS + $4))
    while is_alive "$2" "$3"; do
        ((SECONDS < deadline)) || fail "process $(<"$2/pid") did not end within $4 s of $1, see $2"
        sleep 0.02
    done
}

# watch_parent PID INSTANCE: stops the instance when the process PID has ended, however it ended.
watch_parent() {
    [[ -n $1 ]] || return 0
    # shellcheck disable=SC2016  # the inner shell expands them
    setsid "$BASH" -c 'tail --pid="$1" -f /dev/null; exec "$2" stop --name "$3"' _ "$1" "$HERE/$TOOL" "$2" \
        </dev/null >/dev/null 2>&1 &
}

# Below the range from which the kernel gives ports to clients, so that nobody is given it meanwhile.
free_port() {
    local candidate attempt
    for attempt in {1..100}; do
        candidate=$((10000 + (RANDOM * 32768 + RANDOM) % 20000))
        (exec 3<>"/dev/tcp/127.0.0.1/$candidate") 2>/dev/null || { echo "$candidate"; return; }
    done
    fail "no free port among $attempt that were tried"
}

# --- words ----------------------------------------------------------------------------------------------------------

check_name() {
    [[ $1 =~ ^[A-Za-z0-9._-]+$ ]] || fail "an instance's name has letters, digits, '.', '_' and '-' only: $1"
}

need() { command -v "$1" >/dev/null || fail "$1 is missing (Debian: apt-get install $2)"; }

fail() {
    echo "scripts/$TOOL: $*" >&2
    exit 1
}
