#!/bin/sh
# Undoes install.sh by its manifest: stops the daemon, gives the host back as it was, removes every file that was put
# there and each folder that was made for them. Settings, the network's state and the user stay, so that a later
# install is the same machine; --purge removes them as well. POSIX sh.
set -eu
umask 022
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH

usage() {
  cat <<'END'
Usage: uninstall.sh [--purge] [--prefix=FOLDER] [--destdir=FOLDER] [--dry-run]

  --purge            also remove this machine's identity, settings and the system user
  --prefix=FOLDER    where it was installed (default: where this file is, else /usr/local)
  --destdir=FOLDER   as given to install.sh (also: DESTDIR)
  --dry-run          only say what would be done
  --help             this text

Examples:
  sudo /usr/local/lib/pintail/uninstall.sh
  sudo /usr/local/lib/pintail/uninstall.sh --purge
END
}

say() { printf '%s\n' "uninstall: $*"; }
fail() {
  printf '%s\n' "uninstall: $*" >&2
  exit 1
}
run() {
  if [ "$dry" = yes ]; then
    printf '  would run: %s\n' "$*"
  else
    "$@"
  fi
}
has() { command -v "$1" >/dev/null 2>&1; }

stop() {
  if has systemctl; then
    say 'stop and disable pintaild'
    if [ -d /run/systemd/system ]; then
      # The daemon's own clean-up may still need the helper.
      run systemctl disable --now pintaild.service || say 'attention: pintaild could not be stopped'
      run systemctl stop pintail-root.socket pintail-root.service || :
      run systemctl reset-failed pintaild.service pintail-root.service 2>/dev/null || :
    else
      run systemctl disable pintaild.service 2>/dev/null || :
    fi
    run systemctl disable pintail-root.socket 2>/dev/null || :
  fi
  say 'undo what a killed daemon may have left'
  run "$destdir$lib/bin/node" "$destdir$lib/src-daemon/main.ts" --cleanup --log-level=warn ||
    say 'attention: not everything could be undone, see above'
}

remove_user() {
  id -u pintail >/dev/null 2>&1 || return 0
  say 'remove the system user pintail'
  if has userdel; then
    run userdel pintail
  elif has deluser; then
    run deluser pintail
  fi
  if grep -q '^pintail:' /etc/group; then
    if has groupdel; then run groupdel pintail; elif has delgroup; then run delgroup pintail; fi
  fi
}

main() {
  prefix=
  destdir=${DESTDIR:-}
  dry=no
  purge=no
  for word in "$@"; do
    case $word in
      --prefix=*) prefix=${word#*=} ;;
      --destdir=*) destdir=${word#*=} ;;
      --dry-run) dry=yes ;;
      --purge) purge=yes ;;
      --help | -h) usage && exit 0 ;;
      *)
        usage >&2
        fail "unknown argument: $word"
        ;;
    esac
  done
  case $destdir in '' | /*) ;; *) destdir=$(pwd -P)/$destdir ;; esac
  destdir=${destdir%/}
  here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
  if [ -z "$prefix" ]; then
    prefix=/usr/local
    if [ -f "$here/manifest" ]; then
      below=${here#"$destdir"}
      prefix=${below%/lib/pintail}
    fi
  fi
  prefix=${prefix%/}
  lib=$prefix/lib/pintail
  manifest=$destdir$lib/manifest
  [ -f "$manifest" ] || fail "nothing is installed in $destdir$lib (no manifest there)"
  if [ -z "$destdir" ] && [ "$dry" = no ] && [ "$(id -u)" != 0 ]; then
    fail "this needs root; run: sudo $0 $*"
  fi
  cd /

  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  trap 'exit 130' INT TERM
  cp "$manifest" "$work/manifest"
  cp "$destdir$lib/default" "$work/default"

  [ -n "$destdir" ] || stop
  while read -r kind path; do
    case $path in /*) ;; *) [ "$kind" = user ] || continue ;; esac
    case $kind in
      file)
        say "remove $path"
        run rm -f "$destdir$path"
        ;;
      tree)
        # Only a folder that is surely ours.
        [ "$path" = "$lib" ] || continue
        say "remove $path"
        run rm -rf "$destdir$path" "$destdir$path.new" "$destdir$path.old"
        ;;
      setting)
        if [ "$purge" = yes ] || cmp -s "$work/default" "$destdir$path"; then
          say "remove $path"
          run rm -f "$destdir$path"
        elif [ -e "$destdir$path" ]; then
          say "keep $path, which has been changed"
        fi
        ;;
    esac
  done <"$work/manifest"

  if [ -z "$destdir" ] && [ "$purge" = yes ]; then
    say 'remove identity and state: /var/lib/pintail'
    run rm -rf /var/lib/pintail /var/cache/pintaild
    run rm -rf /run/pintail /run/pintail-root
    if grep -qx 'user pintail' "$work/manifest"; then remove_user; fi
  fi

  # Innermost first; what others have put something into stays.
  sed -n 's/^folder //p' "$work/manifest" | sort -r -u | while read -r path; do
    if [ -d "$destdir$path" ]; then run rmdir "$destdir$path" 2>/dev/null || say "keep $path, it is not empty"; fi
  done

  if [ -z "$destdir" ] && [ -d /run/systemd/system ]; then run systemctl daemon-reload; fi
  if [ "$purge" = yes ] || [ -n "$destdir" ]; then
    say 'done'
  else
    say 'done. Identity and settings stay for a later installation; without one, remove them by:'
    printf '  sudo rm -rf /var/lib/pintail /etc/default/pintaild && sudo userdel pintail\n'
  fi
}

main "$@"
