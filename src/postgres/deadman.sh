#!/bin/sh
# The deadman: when the lease of this node's primary runs out, it ends the data server and proves it.
#
#   deadman.sh DIR PID START DATA_DIR [WATCHDOG]
#
# DIR/lease holds the end of the lease twice, in hundredths of seconds since boot: the worker writes it over in place,
# and two numbers that differ were read half written. "off" ends the deadman. PID and START name the postmaster;
# WATCHDOG is a device to pet. Time comes from /proc/uptime alone: no step of the wall clock matters, and a machine
# that slept finds its lease over (H32). Nothing keeps this process quiet but the lease itself (H30).
set -u
umask 077
LC_ALL=C

uptime_cs() {
  read -r up rest </proc/uptime
  now=$((${up%.*} * 100 + 1${up#*.} - 100))
}

# Sets `until`; a line that cannot be trusted leaves the earlier end in force. So does an end more than a minute ahead:
# no lease lasts that long (LONGEST_LEASE_MS), it was counted since another boot.
read_lease() {
  a= b=
  read -r a b rest <"$dir/lease" || :
  [ "$a" = off ] && leave
  [ "$a" = "$b" ] || return 0
  case $a in '' | *[!0-9]* | 0*) return 0 ;; esac
  [ "$a" -le $((now + 6000)) ] || return 0
  until=$a
}

# In hundredths of a second, a second at most; a signal ends it at once.
nap() {
  hundredths=$(($1 > 100 ? 100 : $1))
  rest=$((hundredths % 100 + 100))
  sleep "$((hundredths / 100)).${rest#1}" &
  sleeper=$!
  wait "$sleeper"
  sleeper=
}

pet() { [ -z "$watchdog" ] || printf . >&9; }

# Disarmed: the data server is proved down, or is a standby. A device closed with V does not fire.
leave() {
  [ -z "$sleeper" ] || kill "$sleeper" 2>/dev/null
  [ -z "$watchdog" ] || printf V >&9
  exit 0
}

# Sets state, session and started of process $1, or fails when there is none.
look_at() {
  read -r line 2>/dev/null <"/proc/$1/stat" || return 1
  set -f
  set -- ${line##*) }
  set +f
  state=$1 session=$4
  shift 19
  started=$1
  case $state in Z | X) return 1 ;; esac
}

# Sets `alive`: every process that works in the data directory and runs the postmaster's program, and whatever is left
# in the session of one that was ended: programs that an archiver or COPY started (H24).
find_alive() {
  alive=
  for place in /proc/[0-9]*; do
    found=${place#/proc/}
    if [ "$place/cwd" -ef "$data" ] && [ "$place/exe" -ef /proc/self/fd/8 ]; then
      look_at "$found" && alive="$alive $found"
    elif [ -n "$ended" ] && look_at "$found"; then
      case "$ended " in *" $session "*) alive="$alive $found" ;; esac
    fi
  done
}

# Sets `attached`: how many processes hold the server's shared memory. A process that serves holds it.
count_attached() {
  attached=0 segment=
  if [ -r "$data/postmaster.pid" ]; then
    { for n in 1 2 3 4 5 6; do read -r skipped; done; read -r key segment rest; } <"$data/postmaster.pid"
  fi
  [ -n "$segment" ] && [ -r /proc/sysvipc/shm ] || return 0
  while read -r key id perms size cpid lpid nattch rest; do
    [ "$id" = "$segment" ] && attached=$nattch
  done </proc/sysvipc/shm
}

# The postmaster stands still before the others are listed, so that it starts no more (H25); two empty scans and nobody
# attached are the proof (H26). It never gives up.
fence() {
  look_at "$pid" && [ "$started" = "$start" ] && kill -STOP "$pid" 2>/dev/null
  ended= killed=0 empty=0
  while [ "$empty" -lt 2 ]; do
    find_alive
    if [ -z "$alive" ]; then
      count_attached
      if [ "$attached" -eq 0 ]; then empty=$((empty + 1)); else empty=0; fi
      [ "$empty" -eq 2 ] || nap 1
    else
      empty=0
      for victim in $alive; do
        kill -KILL "$victim" 2>/dev/null || continue
        case "$ended " in *" $victim "*) ;; *) ended="$ended $victim" killed=$((killed + 1)) ;; esac
      done
      nap 1
    fi
  done
}

tell() {
  # The worker was there first.
  [ "$killed" -gt 0 ] || return 0
  uptime_cs
  mkdir -p "$dir/acts"
  what="the lease was not renewed in time: $killed processes killed, two scans found none, nobody attached"
  printf '{"event":"fenced","reason":"%s","detail":{"by":"deadman","at":"%s","took_ms":%s}}\n' \
    "$what" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$(((now - until) * 10))" >"$dir/acts/deadman.tmp"
  mv "$dir/acts/deadman.tmp" "$dir/acts/deadman-$until.json"
}

main() {
  dir=$1 pid=$2 start=$3 data=$4 watchdog=${5:-}
  sleeper=
  # The program of the postmaster, by itself: an upgrade may move its path away.
  exec 8<"/proc/$pid/exe" || exit 1
  if [ -n "$watchdog" ]; then exec 9>>"$watchdog" || exit 1; fi
  { echo -900 >/proc/self/oom_score_adj; } 2>/dev/null
  trap leave TERM
  trap '' HUP INT
  uptime_cs
  until=$now
  read_lease
  [ "$until" -gt "$now" ] || exit 1
  read -r own rest </proc/self/stat
  look_at "$own"
  echo "$own $started $pid $start" >"$dir/deadman.tmp"
  mv "$dir/deadman.tmp" "$dir/deadman.pid"
  while :; do
    read_lease
    uptime_cs
    [ "$until" -gt "$now" ] || break
    pet
    nap $((until - now))
  done
  trap '' TERM
  fence
  tell
  leave
}

main "$@"; exit
