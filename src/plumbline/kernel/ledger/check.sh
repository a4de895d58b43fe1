#!/bin/sh
# sh check.sh FILE.tlog-proof KEY.pem - is the entry in a tree that this key signed? Needs coreutils, awk, OpenSSL 3.
die() { echo "NOT PROVED: $1" >&2; exit 1; }
sha() { { printf "$1"; echo "$2" | base64 -d; echo "$3" | base64 -d; } | openssl dgst -sha256 -binary | base64; }
export LC_ALL=C proof="$1" key="$2" && t=$(mktemp -d) && trap 'rm -rf "$t"' EXIT || die "no place for work"
awk -v t="$t" '$0 == "" { n++; l = 0; next } { l++; print > (t "/" (n + 0)) } # three parts, as the empty lines cut them
  !n && l > 3 && (length != 44 || !/^[A-Za-z0-9+\/]*=$/) { bad = 1 } END { exit bad || n != 2 }' <"$proof" &&
  [ -z "$(tail -c 1 "$proof")" ] && { read -r head && read -r e leaf && read -r i index && set -- $(cat); } <"$t/0" &&
  { IFS= read -r origin && read -r size && read -r root; } <"$t/1" || die "this is no proof file, or it is cut off"
[ "$head $e $i" = "c2sp.org/tlog-proof@v1 extra index" ] && [ "$index" -lt "$size" ] &&
  printf '%s %s\n' "$index" "$size" | grep -Eqx '(0|[1-9][0-9]{0,17}) [1-9][0-9]{0,17}' || die "index or size is wrong"
i=$index last=$((size - 1)) found=$(sha '\000' "$leaf" '') && echo "$leaf" | base64 -d >"$t/leaf" || die "the leaf is cut"
while [ "$last" -gt 0 ]; do case $((i % 2))$((i < last)) in # from the leaf to the root, as RFC 9162 says in 2.1.3.2
  00) set -- alone "$@" ;; 01) found=$(sha '\001' "$found" "$1") ;; *) found=$(sha '\001' "$1" "$found") ;; esac
  [ $# -gt 0 ] && shift && i=$((i / 2)) last=$((last / 2)) || die "a line of the path is missing"; done
[ "$# $found" = "0 $root" ] || die "the entry is not in the signed tree: its path does not lead to the root"
while read -r dash name line; do [ "$dash $name" = "— $origin" ] && echo "$line" | base64 -d | tail -c +5 >"$t/sig" &&
  openssl pkeyutl -verify -pubin -inkey "$key" -rawin -in "$t/1" -sigfile "$t/sig" >&2 &&
  printf 'PROVED: entry %s of %s in %s:\n%s\n' "$index" "$size" "$origin" "$(cat "$t/leaf")" && exit; done <"$t/2"
die "no signature of $origin is by this key"
