#!/bin/sh
# Installs pintaild, pintail and the root helper on Linux: from a checkout, or from the unpacked archive this file is in.
# Twice is as once; a newer version replaces an older one. What it did is in PREFIX/lib/pintail/manifest, and
# PREFIX/lib/pintail/uninstall.sh undoes it. POSIX sh.
set -eu
umask 022
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH

usage() {
  cat <<'END'
Usage: install.sh [--prefix=FOLDER] [--destdir=FOLDER] [--now] [--dry-run]

  --prefix=FOLDER    where programs go (default /usr/local)
  --destdir=FOLDER   put all files below FOLDER, for a package; no user is made, nothing is started
                     (also: DESTDIR)
  --now              start the daemon, now and at every boot
  --dry-run          only say what would be done
  --help             this text

Examples:
  sudo ./install.sh --now
  ./install.sh --destdir=build/root --prefix=/usr
END
}

say() { printf '%s\n' "install: $*"; }
fail() {
  printf '%s\n' "install: $*" >&2
  exit 1
}
run() {
  if [ "$dry" = yes ]; then
    printf '  would run: %s\n' "$*"
  else
    "$@"
  fi
}

# Every path that becomes ours is written down before it is made.
note_file() { printf 'file %s\n' "$1" >>"$list"; }

# Folders that were not there, the outermost first: uninstall removes them when they are empty.
make_folder() {
  [ ! -d "$destdir$1" ] || return 0
  case $1 in /*/*) make_folder "${1%/*}" ;; esac
  printf 'folder %s\n' "$1" >>"$list"
  run mkdir -m 755 "$destdir$1"
}

# put SOURCE PATH MODE: with the installed folder's name filled in.
put() {
  note_file "$2"
  make_folder "${2%/*}"
  sed "s#@LIB@#$lib#g" "$1" >"$work/file"
  if [ -f "$destdir$2" ] && cmp -s "$work/file" "$destdir$2"; then return 0; fi
  say "write $2"
  run cp "$work/file" "$destdir$2.pintail-new"
  run chmod "$3" "$destdir$2.pintail-new"
  run mv -f "$destdir$2.pintail-new" "$destdir$2"
}

wrapper() {
  printf '#!/bin/sh\nexec %s/bin/node --disable-proto=delete --disallow-code-generation-from-strings %s/%s "$@"\n' \
    "$lib" "$lib" "$1" >"$work/wrapper"
  put "$work/wrapper" "$2" 755
}

has() { command -v "$1" >/dev/null 2>&1; }

make_user() {
  if id -u pintail >/dev/null 2>&1; then
    # Ours, kept when an earlier installation went; else somebody made it for us, and it is his to remove.
    if grep -q '^pintail:.*:Pintail mesh network:/var/lib/pintail:' /etc/passwd; then echo 'user pintail' >>"$list"; fi
    return 0
  fi
  say 'make the system user pintail'
  echo 'user pintail' >>"$list"
  if has systemd-sysusers; then
    run systemd-sysusers "$tree/sysusers/pintail.conf"
  elif has useradd; then
    run useradd --system --user-group --no-create-home --home-dir /var/lib/pintail --shell /usr/sbin/nologin \
      --comment 'Pintail mesh network' pintail
  elif has adduser; then
    run addgroup -S pintail
    run adduser -S -D -H -h /var/lib/pintail -s /sbin/nologin -g 'Pintail mesh network' -G pintail pintail
  else
    fail 'no program makes users here (systemd-sysusers, useradd, adduser); make a system user "pintail" and run this again'
  fi
}

check_host() {
  has ip || say 'attention: the program ip is missing; install iproute2'
  has nft || has iptables || say 'attention: no packet filter program; install nftables'
  has flock || say 'attention: the program flock is missing; install util-linux'
  [ -e /dev/net/tun ] || say 'attention: /dev/net/tun is missing; run: modprobe tun'
}

main() {
  prefix=/usr/local
  destdir=${DESTDIR:-}
  dry=no
  now=no
  for word in "$@"; do
    case $word in
      --prefix=*) prefix=${word#*=} ;;
      --destdir=*) destdir=${word#*=} ;;
      --dry-run) dry=yes ;;
      --now) now=yes ;;
      --help | -h) usage && exit 0 ;;
      *)
        usage >&2
        fail "unknown argument: $word"
        ;;
    esac
  done
  prefix=${prefix%/}
  case $prefix in
    /*[!A-Za-z0-9/._+-]* | */../* | */.. | *//*) fail "--prefix must be a plain absolute folder: $prefix" ;;
    /?*) ;;
    *) fail "--prefix must be a plain absolute folder: $prefix" ;;
  esac
  case $destdir in '' | /*) ;; *) destdir=$(pwd -P)/$destdir ;; esac
  destdir=${destdir%/}
  [ "$(uname -s)" = Linux ] || fail 'only Linux has a daemon so far'
  if [ -z "$destdir" ] && [ "$dry" = no ] && [ "$(id -u)" != 0 ]; then
    fail "this needs root; run: sudo $0 $*"
  fi

  here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
  lib=$prefix/lib/pintail
  old_manifest=$destdir$lib/manifest
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  trap 'exit 130' INT TERM
  list=$work/manifest
  # What an earlier run made is still ours.
  if [ -f "$old_manifest" ]; then grep -E '^(folder|user) ' "$old_manifest" >"$list" || :; else : >"$list"; fi

  tree=$here
  if [ ! -f "$here/lib/package.json" ]; then
    [ -f "$here/make-tree.mjs" ] || fail "there is nothing to install beside $0"
    say "put together what is in $(dirname -- "$here")"
    node=$(dirname -- "$here")/node_modules/node/bin/node
    [ -x "$node" ] || fail "the checkout is not ready; run this in it first, as its owner: npm start -- --check"
    tree=$work/tree
    "$node" "$here/make-tree.mjs" "$tree"
  fi
  "$tree/lib/bin/node" -e 0 || fail 'the Node that comes along does not run on this machine'

  if [ "$prefix" = /usr ]; then
    units=/usr/lib/systemd/system users=/usr/lib/sysusers.d rules=/usr/share/polkit-1/rules.d
  else
    units=/etc/systemd/system users=/etc/sysusers.d rules=/etc/polkit-1/rules.d
  fi

  if [ -n "$destdir" ]; then run mkdir -p "$destdir"; else make_user; fi

  say "programs to $lib"
  make_folder "$prefix/lib"
  printf 'tree %s\n' "$lib" >>"$list"
  run rm -rf "$destdir$lib.new"
  run cp -R "$tree/lib" "$destdir$lib.new"
  run cp "$tree/uninstall.sh" "$destdir$lib.new/uninstall.sh"
  run cp "$tree/default/pintaild" "$destdir$lib.new/default"
  # Nobody but root may change what root runs, whoever unpacked it.
  run chmod -R u=rwX,go=rX "$destdir$lib.new"
  run chmod 755 "$destdir$lib.new/uninstall.sh"
  [ "$(id -u)" != 0 ] || run chown -R 0:0 "$destdir$lib.new"

  wrapper src-cli/main.ts "$prefix/bin/pintail"
  wrapper src-daemon/main.ts "$prefix/sbin/pintaild"
  for unit in pintaild.service pintail-root.service pintail-root.socket; do
    put "$tree/systemd/$unit" "$units/$unit" 644
  done
  put "$tree/sysusers/pintail.conf" "$users/pintail.conf" 644
  put "$tree/polkit/50-pintail.rules" "$rules/50-pintail.rules" 644
  make_folder /etc/default
  printf 'setting %s\n' /etc/default/pintaild >>"$list"
  if [ ! -e "$destdir/etc/default/pintaild" ]; then
    say 'write /etc/default/pintaild'
    run cp "$tree/default/pintaild" "$destdir/etc/default/pintaild"
    run chmod 644 "$destdir/etc/default/pintaild"
  fi

  # An earlier version's files that this one does not have.
  if [ -f "$old_manifest" ]; then
    while read -r kind path; do
      if [ "$kind" = file ] && ! grep -qxF "file $path" "$list"; then
        say "remove $path, of an earlier version"
        run rm -f "$destdir$path"
      fi
    done <"$old_manifest"
  fi

  sort -u "$list" >"$work/sorted"
  run cp "$work/sorted" "$destdir$lib.new/manifest"
  run chmod 644 "$destdir$lib.new/manifest"
  if [ -d "$destdir$lib" ]; then
    run rm -rf "$destdir$lib.old"
    run mv "$destdir$lib" "$destdir$lib.old"
  fi
  run mv "$destdir$lib.new" "$destdir$lib"
  run rm -rf "$destdir$lib.old"

  if [ -n "$destdir" ]; then
    say 'done: files only'
    return 0
  fi
  check_host
  if [ -d /run/systemd/system ]; then
    run systemctl daemon-reload
    run systemctl stop pintail-root.service # comes back, as the new one, when it is needed
    run systemctl try-restart pintaild.service
    if [ "$now" = yes ]; then
      say 'start pintaild, now and at every boot'
      run systemctl enable --now pintaild.service
    fi
  elif [ "$now" = yes ]; then
    say 'attention: systemd does not run here; start it by hand: pintaild'
  fi
  say 'done. Next:'
  [ "$now" = yes ] || printf '  sudo systemctl enable --now pintaild\n'
  printf '  sudo pintail up --operator=%s      # sign in; from then on without sudo\n' "${SUDO_USER:-\$USER}"
  printf '  pintail status\n  sudo %s/uninstall.sh      # undoes this\n' "$lib"
}

main "$@"
