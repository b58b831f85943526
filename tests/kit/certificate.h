/*
 * certificate: one in PEM, for tests of what reads them. Nobody has its key.
 */
#ifndef FLWR_KIT_CERTIFICATE_H
#define FLWR_KIT_CERTIFICATE_H

/* Self-signed, made by openssl. */
static const char kit_certificate[] =
	"-----BEGIN CERTIFICATE-----\n"
	"MIIBdDCCARugAwIBAgIUM2DDGF9W+U3qR28vii21pjf0KdAwCgYIKoZIzj0EAwIw\n"
	"DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjExMTQ3MzNaGA8yMTI2MTAyODExNDcz\n"
	"M1owDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABB5i\n"
	"wWI+t3XQb+cex2kEGfkubwn4vlvghDraT5rxrRs40v7bsywl6PQMrWE9KodHaOY3\n"
	"E8fXaH5xF8Rqe/ZC7dqjUzBRMB0GA1UdDgQWBBTZRLX+Md7jJ+znlQcSjxxxVC66\n"
	"EDAfBgNVHSMEGDAWgBTZRLX+Md7jJ+znlQcSjxxxVC66EDAPBgNVHRMBAf8EBTAD\n"
	"AQH/MAoGCCqGSM49BAMCA0cAMEQCIDhQkZ+wzPDkKWw4bUFkyHEXOUTOrSvtPGNg\n"
	"FDtkwUjwAiBj44oReTEOGP8UwvzwNGXCMhDiPT8gDUITkpkBVViVjg==\n"
	"-----END CERTIFICATE-----\n";

#endif
