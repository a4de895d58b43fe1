#!/bin/sh
# sh check-row.sh record.bin record-path.json content.bin - is the record one of those that the batch's entry commits to?
die() { echo "NOT PROVED: $1" >&2; exit 1; }
sha() { { printf "$1"; echo "$2" | base64 -d; echo "$3" | base64 -d; } | openssl dgst -sha256 -binary | base64; }
export LC_ALL=C record="$1" path="$2" content="$3"
index=$(sed -n 's/.*"index":\([0-9]\{1,17\}\),.*/\1/p' "$path") size=$(sed -n 's/.*"size":\([0-9]\{1,17\}\)}$/\1/p' "$path")
[ -n "$index" ] && [ -n "$size" ] && [ "$index" -lt "$size" ] || die "index or size is wrong"
set -- $(grep -o '"[A-Za-z0-9+/]\{43\}="' "$path" | tr -d '"')
i=$index last=$((size - 1)) found=$(sha '\000' "$(openssl dgst -sha256 -binary "$record" | base64)" '')
while [ "$last" -gt 0 ]; do case $((i % 2))$((i < last)) in # from the record to the root, as RFC 9162 says in 2.1.3.2
  00) set -- alone "$@" ;; 01) found=$(sha '\001' "$found" "$1") ;; *) found=$(sha '\001' "$1" "$found") ;; esac
  [ $# -gt 0 ] && shift && i=$((i / 2)) last=$((last / 2)) || die "a line of the path is missing"; done
[ $# -eq 0 ] || die "the path is too long"
root=$(echo "$found" | base64 -d | od -An -v -tx1 | tr -d ' \n')
tail -c +33 "$content" | grep -Fq "\"records_root\":\"$root\"" || die "the record is not among those of the batch: its path does not lead to the root"
echo "PROVED: the record leads to the root $root, which the entry of the batch holds"
