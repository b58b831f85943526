#!/bin/sh
# Make key files in the directory given: what operators have, by the tools that they have.
set -eu
cd "$1"
umask 077
exec >/dev/null 2>&1 </dev/null

for bits in 256 384 521; do
	for i in 0 1 2 3 4 5; do
		ssh-keygen -q -t ecdsa -b $bits -N '' -C "node $i" -f good-openssh-$bits-$i
	done
	ssh-keygen -q -t ecdsa -b $bits -N '' -C '' -f good-bare-$bits
	ssh-keygen -q -t ecdsa -b $bits -N '' -m PEM -f good-sec1-$bits
	ssh-keygen -q -t ecdsa -b $bits -N '' -m PKCS8 -f good-pkcs8-$bits
	ssh-keygen -q -t ecdsa -b $bits -N secret -f locked-openssh-$bits
	sed 's/$/\r/' good-openssh-$bits-0 >good-crlf-$bits
	cp good-openssh-$bits-0.pub good-crlf-$bits.pub
done
for curve in prime256v1 secp384r1 secp521r1; do
	openssl ecparam -name $curve -genkey -out good-params-$curve
	openssl ec -in good-params-$curve -conv_form compressed -out good-compressed-$curve
	openssl ec -in good-params-$curve -no_public -out good-alone-$curve
	openssl pkcs8 -topk8 -nocrypt -in good-params-$curve -out good-topk8-$curve
	for key in good-*-$curve; do
		openssl ec -in $key -pubout -out $key.pub
	done
	openssl ec -in good-params-$curve -pubout -conv_form compressed -out good-compressed-$curve.pub
done
# As programs in Python make them; four of each, because the padding depends on the number.
"$FLWR_TEST_PYTHON" - <<'EOF'
from pathlib import Path

from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec

for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()):
    for i in range(4):
        key = ec.generate_private_key(curve)
        path = Path(f"good-python-{curve.name}-{i}")
        plain = form.NoEncryption()
        path.write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.OpenSSH, plain))
        public = key.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH)
        Path(f"{path}.pub").write_bytes(public)
EOF
openssl ec -in good-params-secp384r1 -aes128 -passout pass:secret -out locked-sec1
openssl pkcs8 -topk8 -in good-params-secp384r1 -passout pass:secret -out locked-pkcs8
ssh-keygen -q -t rsa -b 2048 -N '' -f other-rsa
ssh-keygen -q -t rsa -b 2048 -N '' -m PEM -f other-rsa-pem
ssh-keygen -q -t ed25519 -N '' -f other-ed25519
openssl genpkey -algorithm ed25519 -out other-ed25519-pem
openssl ecparam -name secp256k1 -genkey -noout -out other-k1
openssl ecparam -name secp224r1 -genkey -noout -out other-224
openssl ecparam -name brainpoolP384r1 -genkey -noout -out other-brainpool
openssl pkey -in other-k1 -pubout -out other-k1.pub
: >bad-empty
echo 'no key at all' >bad-text
head -c 100 good-openssh-384-0 >bad-cut-openssh
head -c 100 good-sec1-384 >bad-cut-sec1
head -c 70000 /dev/zero >bad-large
echo '-----BEGIN EC PRIVATE KEY-----' >bad-head
# The public part of one key in the file of another: the first blob, and in the PEM form.
openssl pkey -in good-params-secp384r1 -outform DER -out a.der
openssl pkey -in good-sec1-384 -outform DER -out b.der
{ head -c -97 a.der; tail -c 97 b.der; } | openssl base64 |
	sed -e '1i -----BEGIN EC PRIVATE KEY-----' -e '$a -----END EC PRIVATE KEY-----' >bad-mixed
