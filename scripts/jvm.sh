# Functions that scripts/kafka, scripts/registry and scripts/zookeeper share: downloading jars from Maven Central, compiling Java tools, starting and
# ending JVMs. Both scripts read this file with `source`.
#
# They first set TOOL (the name of the script), PARTS (its folder with a pom.xml and Java tools) and HOME_DIR (the folder of jars,
# compiled tools and instances).
# shellcheck shell=bash

readonly FETCH_TIMEOUT_S=600
# shellcheck disable=SC2034  # the scripts use it
readonly START_TIMEOUT_S=120

# --- jars and tools -------------------------------------------------------------------------------------------------

# The folders' names contain checksums of their sources, so that a new version or a changed tool gets a folder of its own.
jars_dir() { echo "$HOME_DIR/jars-$(cksum <"$PARTS/pom.xml" | cut -d' ' -f1)"; }
tools_dir() { echo "$HOME_DIR/tools-$(cat "$PARTS/pom.xml" "$PARTS"/*.java | cksum | cut -d' ' -f1)"; }
classpath() { echo "$(tools_dir):$(jars_dir)/*"; }

# Makes the folders that are missing. A lock lets one process at a time do that.
fetch() {
    need java "default-jdk-headless"
    [[ -d $(jars_dir) && -d $(tools_dir) ]] && return
    need javac "default-jdk-headless"
    need mvn "maven"
    mkdir -p "$HOME_DIR"
    local lock
    exec {lock}>"$HOME_DIR/fetch.lock"
    flock -w "$FETCH_TIMEOUT_S" "$lock" || fail "$HOME_DIR/fetch.lock is still held by another fetch after $FETCH_TIMEOUT_S s"
    made_by fetch_jars "$(jars_dir)"
    made_by compile_tools "$(tools_dir)"
    exec {lock}>&-
}

# made_by COMMAND FOLDER: makes a folder under another name and renames it when it is complete.
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
        fail "mvn failed to download the dependencies of $PARTS/pom.xml"
}

# Runs a Java tool. The options make the JVM start quickly; the tools run too briefly for a better compiler to pay off.
run_tool() {
    java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto -Xmx256m \
        -Dlog4j2.configurationFile="$HERE/kafka.d/log4j2-tools.properties" -cp "$(classpath)" "$@"
}

# --- processes ------------------------------------------------------------------------------------------------------

# is_alive FOLDER MARK: whether the process of FOLDER/pid is alive and has MARK in its command line. Without the mark, it is another
# process that got the same id; a zombie has no command line.
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

# watch_parent PID INSTANCE: stops the instance when the process PID ends, even if it is killed.
watch_parent() {
    [[ -n $1 ]] || return 0
    # shellcheck disable=SC2016  # the inner shell expands them
    setsid "$BASH" -c 'tail --pid="$1" -f /dev/null; exec "$2" stop --name "$3"' _ "$1" "$HERE/$TOOL" "$2" \
        </dev/null >/dev/null 2>&1 &
}

# Prints a free port below the range from which the kernel takes ports for clients, so that no client gets it in the meantime.
free_port() {
    local candidate attempt
    for attempt in {1..100}; do
        candidate=$((10000 + (RANDOM * 32768 + RANDOM) % 20000))
        (exec 3<>"/dev/tcp/127.0.0.1/$candidate") 2>/dev/null || { echo "$candidate"; return; }
    done
    fail "found no free port in $attempt attempts"
}

# --- checks and errors ----------------------------------------------------------------------------------------------

check_name() {
    [[ $1 =~ ^[A-Za-z0-9._-]+$ ]] || fail "--name is $1: expected letters, digits, '.', '_' and '-' only"
}

need() { command -v "$1" >/dev/null || fail "$1 is missing (Debian: apt-get install $2)"; }

fail() {
    echo "scripts/$TOOL: $*" >&2
    exit 1
}
