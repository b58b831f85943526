#!/bin/sh
# An authority, and a certificate of it for each name: certificates.sh FOLDER OWNER NAME...
#
# FOLDER/NAME gets tls.crt, tls.key and the authority's ca.crt, as a Kubernetes secret has them, and the user
# OWNER; FOLDER/public gets ca.crt alone. Certificates that are good for 30 more days stay. FOLDER/launchers gets
# what launchers sign with, as "secret".
set -eu
cd "$1"
owner=$2
shift 2

key="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
if ! openssl x509 -in authority/ca.crt -noout -checkend 2592000 >/dev/null 2>&1; then
	mkdir -p authority
	# shellcheck disable=SC2086
	openssl req -x509 $key -keyout authority/ca.key -out authority/ca.crt -days 3650 -subj "/CN=federation"
	rm -f */tls.crt
fi
mkdir -p public launchers
cp authority/ca.crt public/
if [ ! -s launchers/secret ]; then
	head -c 32 /dev/urandom | base64 >launchers/new
	chmod 400 launchers/new
	chown "$owner" launchers/new
	mv launchers/new launchers/secret
fi
for name; do
	mkdir -p "$name"
	openssl x509 -in "$name/tls.crt" -noout -checkend 2592000 >/dev/null 2>&1 && continue
	rm -f "$name/tls.key"
	# shellcheck disable=SC2086
	openssl req $key -keyout "$name/tls.key" -subj "/CN=$name" \
		-addext "subjectAltName=DNS:$name,DNS:localhost,IP:127.0.0.1" |
		openssl x509 -req -CA authority/ca.crt -CAkey authority/ca.key -days 365 -copy_extensions copy \
			-out "$name/tls.crt"
	cp authority/ca.crt "$name/"
	chmod 400 "$name/tls.key"
	chown "$owner" "$name/tls.key"
done
