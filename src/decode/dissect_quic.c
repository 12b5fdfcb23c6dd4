/* An Initial packet is opened in three steps: a sample of the encrypted octets, itself encrypted,
 * uncovers the length of the packet number; number and iv make the nonce; AES-GCM opens the rest
 * and proves that the keys were right.
 *
 * Limits: datagrams of DATAGRAM_MAX octets; packet numbers are taken as sent, which is right for
 * the first 2^8 to 2^32 packets of a connection, as many as its number has octets. */
#include "decode/dissect_quic.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <stdlib.h>
#include <string.h>

enum {
	DATAGRAM_MAX = 16384,
	HASH = 32,
	SAMPLE = 16,
	SAMPLE_AT = 4, /* behind the start of the packet number, whatever its length */
	TAG = 16,
	LONG_HEADER = 0x80,
	FIXED_BIT = 0x40,
	TYPE = 0x30,
	HIDDEN_BITS = 0x0f,
	LABEL_MAX = 32,
	FIRST_CONNECTION_MIN = 8, /* RFC 9000 7.2 */
};

enum frame {
	FRAME_PADDING = 0x00,
	FRAME_PING = 0x01,
	FRAME_ACK = 0x02,
	FRAME_ACK_ECN = 0x03,
	FRAME_CRYPTO = 0x06,
	FRAME_CLOSE = 0x1c,
};

struct version {
	uint32_t number;
	uint8_t initial, retry; /* types in the first octet */
	uint8_t salt[20];
	const char *key, *iv, *header_key; /* labels */
};

static const struct version versions[] = {
	{0x00000001, 0x00, 0x30,
		{0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8,
			0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a},
		"quic key", "quic iv", "quic hp"},
	{0x6b3343cf, 0x10, 0x00,
		{0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26,
			0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9},
		"quicv2 key", "quicv2 iv", "quicv2 hp"},
};

struct dissect_quic {
	OSSL_LIB_CTX *library;
	EVP_KDF *hkdf;
	EVP_KDF_CTX *derive;
	EVP_CIPHER *ecb, *gcm;
	EVP_CIPHER_CTX *cover, *open;
	uint8_t header[DATAGRAM_MAX]; /* of the packet in hand, uncovered */
	uint8_t plain[DATAGRAM_MAX];  /* what it holds */
};

/* A long header; pointers into the datagram. */
struct packet {
	const struct version *version;
	uint8_t type;
	const uint8_t *start;
	const uint8_t *connection;
	uint8_t connection_length;
	const uint8_t *number; /* packet number, covered; NULL if the type has none */
	size_t length;         /* from there to the end of the packet */
};

static const struct version *version_of(uint32_t number)
{
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
		if (versions[i].number == number)
			return &versions[i];
	return NULL;
}

int dissect_quic_new(struct dissect_quic **ret_quic)
{
	struct dissect_quic *quic = calloc(1, sizeof(*quic));

	if (!quic)
		return -ENOMEM;
	quic->library = OSSL_LIB_CTX_new();
	quic->hkdf = EVP_KDF_fetch(quic->library, "HKDF", NULL);
	quic->derive = EVP_KDF_CTX_new(quic->hkdf);
	quic->ecb = EVP_CIPHER_fetch(quic->library, "AES-128-ECB", NULL);
	quic->gcm = EVP_CIPHER_fetch(quic->library, "AES-128-GCM", NULL);
	quic->cover = EVP_CIPHER_CTX_new();
	quic->open = EVP_CIPHER_CTX_new();
	if (!quic->library || !quic->derive || !quic->ecb || !quic->gcm || !quic->cover ||
		!quic->open) {
		dissect_quic_free(quic);
		return -ENOMEM;
	}
	*ret_quic = quic;
	return 0;
}

void dissect_quic_free(struct dissect_quic *quic)
{
	if (!quic)
		return;
	EVP_CIPHER_CTX_free(quic->cover);
	EVP_CIPHER_CTX_free(quic->open);
	EVP_CIPHER_free(quic->ecb);
	EVP_CIPHER_free(quic->gcm);
	EVP_KDF_CTX_free(quic->derive);
	EVP_KDF_free(quic->hkdf);
	OSSL_LIB_CTX_free(quic->library);
	free(quic);
}

/* A number of 1, 2, 4 or 8 octets (RFC 9000 16). */
static enum dissect_result take_number(struct cursor *cursor, uint64_t *ret_number)
{
	const uint8_t *octets = cursor->at;
	size_t length = cursor->captured > 0 ? (size_t)1 << (octets[0] >> 6) : 1;

	if (!cursor_take(cursor, length))
		return DISSECT_MALFORMED;
	*ret_number = octets[0] & 0x3f;
	for (size_t i = 1; i < length; i++)
		*ret_number = *ret_number << 8 | octets[i];
	return DISSECT_OK;
}

static const uint8_t *take_counted(struct cursor *cursor, uint64_t count)
{
	return count <= cursor->captured ? cursor_take(cursor, (size_t)count) : NULL;
}

/* First octet, version and connection ids, which all versions share. */
static enum dissect_result take_invariants(struct cursor *cursor, struct packet *packet)
{
	const uint8_t *head = cursor->at, *length;

	if (!cursor_take(cursor, 5) || !(head[0] & LONG_HEADER) || !(head[0] & FIXED_BIT))
		return DISSECT_OTHER;
	packet->version = version_of(cursor_be32(head + 1));
	if (!packet->version)
		return DISSECT_OTHER;
	packet->start = head;
	packet->type = head[0] & TYPE;
	length = cursor_take(cursor, 1);
	if (!length || *length > DISSECT_QUIC_CONNECTION_MAX)
		return DISSECT_MALFORMED;
	packet->connection_length = *length;
	packet->connection = cursor_take(cursor, *length);
	length = packet->connection ? cursor_take(cursor, 1) : NULL;
	if (!length || *length > DISSECT_QUIC_CONNECTION_MAX || !cursor_take(cursor, *length))
		return DISSECT_MALFORMED;
	return DISSECT_OK;
}

/* Moves over a packet of the datagram. */
static enum dissect_result take_packet(struct cursor *cursor, struct packet *packet)
{
	enum dissect_result result = take_invariants(cursor, packet);
	uint64_t length;

	packet->number = NULL;
	if (result != DISSECT_OK || packet->type == packet->version->retry)
		return result;
	if (packet->type == packet->version->initial &&
		(take_number(cursor, &length) != DISSECT_OK || !take_counted(cursor, length)))
		return DISSECT_MALFORMED; /* token */
	if (take_number(cursor, &length) != DISSECT_OK)
		return DISSECT_MALFORMED;
	packet->number = take_counted(cursor, length);
	packet->length = (size_t)length;
	return packet->number ? DISSECT_OK : DISSECT_MALFORMED;
}

static bool is_initial(const struct packet *packet)
{
	return packet->type == packet->version->initial;
}

bool dissect_quic_begins(const uint8_t *datagram, size_t length)
{
	struct cursor cursor = {datagram, length, length};
	struct packet packet;

	return take_invariants(&cursor, &packet) != DISSECT_OTHER && is_initial(&packet);
}

bool dissect_quic_is_of(
	const struct dissect_quic_secret *secret, const uint8_t *datagram, size_t length)
{
	struct cursor cursor = {datagram, length, length};
	struct packet packet;

	return take_invariants(&cursor, &packet) == DISSECT_OK &&
	       packet.version->number == secret->version &&
	       packet.connection_length == secret->connection_length &&
	       memcmp(packet.connection, secret->connection, secret->connection_length) == 0;
}

/* HKDF-Extract, or HKDF-Expand with info, of SHA-256. */
static bool hkdf(struct dissect_quic *quic, int mode, const uint8_t *key, size_t key_length,
	const char *name, const uint8_t *value, size_t value_length, uint8_t *ret, size_t length)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)key, key_length),
		OSSL_PARAM_construct_octet_string(name, (void *)value, value_length),
		OSSL_PARAM_construct_end(),
	};

	EVP_KDF_CTX_reset(quic->derive);
	return EVP_KDF_derive(quic->derive, ret, length, params) > 0;
}

/* HKDF-Expand-Label of TLS 1.3 (RFC 8446 7.1) without context. */
static bool expand(struct dissect_quic *quic, const uint8_t secret[static HASH], const char *label,
	uint8_t *ret, size_t length)
{
	static const char prefix[] = "tls13 ";
	uint8_t info[4 + LABEL_MAX];
	size_t label_length = strlen(prefix) + strlen(label);

	info[0] = 0;
	info[1] = (uint8_t)length;
	info[2] = (uint8_t)label_length;
	memcpy(info + 3, prefix, strlen(prefix));
	memcpy(info + 3 + strlen(prefix), label, strlen(label));
	info[3 + label_length] = 0;
	return hkdf(quic, EVP_KDF_HKDF_MODE_EXPAND_ONLY, secret, HASH, OSSL_KDF_PARAM_INFO, info,
		4 + label_length, ret, length);
}

enum dissect_result dissect_quic_secret(struct dissect_quic *quic, const uint8_t *datagram,
	size_t length, struct dissect_quic_secret *ret_secret)
{
	struct cursor cursor = {datagram, length, length};
	struct packet packet;
	struct dissect_quic_secret secret = {0};
	uint8_t initial[HASH], client[HASH];

	if (take_invariants(&cursor, &packet) != DISSECT_OK ||
		packet.connection_length < FIRST_CONNECTION_MIN)
		return DISSECT_MALFORMED;
	secret.version = packet.version->number;
	secret.connection_length = packet.connection_length;
	memcpy(secret.connection, packet.connection, packet.connection_length);
	if (!hkdf(quic, EVP_KDF_HKDF_MODE_EXTRACT_ONLY, packet.connection, packet.connection_length,
		    OSSL_KDF_PARAM_SALT, packet.version->salt, sizeof(packet.version->salt),
		    initial, sizeof(initial)) ||
		!expand(quic, initial, "client in", client, sizeof(client)) ||
		!expand(quic, client, packet.version->key, secret.key, sizeof(secret.key)) ||
		!expand(quic, client, packet.version->iv, secret.iv, sizeof(secret.iv)) ||
		!expand(quic, client, packet.version->header_key, secret.header_key,
			sizeof(secret.header_key)))
		return DISSECT_UNSUPPORTED; /* libcrypto has no memory */
	*ret_secret = secret;
	return DISSECT_OK;
}

/* Takes the cover off, in quic->header. *ret_length: of the header, packet number included. */
static bool uncover(struct dissect_quic *quic, const struct dissect_quic_secret *secret,
	const struct packet *packet, size_t *ret_length)
{
	uint8_t *header = quic->header;
	size_t number_at = (size_t)(packet->number - packet->start), number_length;
	uint8_t mask[SAMPLE];
	int length;

	if (EVP_EncryptInit_ex2(quic->cover, quic->ecb, secret->header_key, NULL, NULL) <= 0 ||
		EVP_CIPHER_CTX_set_padding(quic->cover, 0) <= 0 ||
		EVP_EncryptUpdate(quic->cover, mask, &length, packet->number + SAMPLE_AT, SAMPLE) <=
			0)
		return false;
	memcpy(header, packet->start, number_at + SAMPLE_AT);
	header[0] ^= mask[0] & HIDDEN_BITS;
	number_length = (size_t)(header[0] & 3) + 1;
	for (size_t i = 0; i < number_length; i++)
		header[number_at + i] ^= mask[1 + i];
	*ret_length = number_at + number_length;
	return true;
}

/* The nonce is the iv with the packet number, the last octets of the header, xored in. */
static void make_nonce(const struct dissect_quic_secret *secret, const uint8_t *header,
	size_t header_length, uint8_t nonce[static DISSECT_QUIC_IV])
{
	size_t number_length = (size_t)(header[0] & 3) + 1;

	memcpy(nonce, secret->iv, DISSECT_QUIC_IV);
	for (size_t i = 0; i < number_length; i++)
		nonce[DISSECT_QUIC_IV - number_length + i] ^=
			header[header_length - number_length + i];
}

/* Opens a packet into quic->plain; false if the keys are not those of its sender. */
static bool open_packet(struct dissect_quic *quic, const struct dissect_quic_secret *secret,
	const struct packet *packet, size_t *ret_length)
{
	uint8_t nonce[DISSECT_QUIC_IV], tag[TAG];
	const uint8_t *sealed;
	size_t header_length, sealed_length;
	int length, rest;

	if (packet->length < SAMPLE_AT + SAMPLE || !uncover(quic, secret, packet, &header_length))
		return false;
	make_nonce(secret, quic->header, header_length, nonce);
	sealed = packet->start + header_length;
	sealed_length = (size_t)(packet->number + packet->length - sealed) - TAG;
	memcpy(tag, sealed + sealed_length, TAG);
	if (EVP_DecryptInit_ex2(quic->open, quic->gcm, secret->key, nonce, NULL) <= 0 ||
		EVP_CIPHER_CTX_ctrl(quic->open, EVP_CTRL_AEAD_SET_TAG, TAG, tag) <= 0 ||
		EVP_DecryptUpdate(quic->open, NULL, &length, quic->header, (int)header_length) <=
			0 ||
		EVP_DecryptUpdate(quic->open, quic->plain, &length, sealed, (int)sealed_length) <=
			0 ||
		EVP_DecryptFinal_ex(quic->open, quic->plain + length, &rest) <= 0)
		return false;
	*ret_length = sealed_length;
	return true;
}

/* Largest, delay, count of ranges, first range, then two numbers a range, and three of ECN. */
static enum dissect_result skip_ack(struct cursor *cursor, bool ecn)
{
	enum dissect_result result = DISSECT_OK;
	uint64_t number, ranges = 0;

	for (int i = 0; i < 4 && result == DISSECT_OK; i++) {
		result = take_number(cursor, &number);
		if (i == 2)
			ranges = number;
	}
	for (uint64_t i = 0; i < ranges && result == DISSECT_OK; i++) {
		result = take_number(cursor, &number);
		if (result == DISSECT_OK)
			result = take_number(cursor, &number);
	}
	for (int i = 0; i < 3 && ecn && result == DISSECT_OK; i++)
		result = take_number(cursor, &number);
	return result;
}

static enum dissect_result take_crypto(struct cursor *cursor, struct reassembly *crypto)
{
	uint64_t offset = 0, length = 0;
	const uint8_t *octets;

	if (take_number(cursor, &offset) != DISSECT_OK ||
		take_number(cursor, &length) != DISSECT_OK ||
		!(octets = take_counted(cursor, length)))
		return DISSECT_MALFORMED;
	return reassembly_add(crypto, offset, octets, (size_t)length) ? DISSECT_OK
								      : DISSECT_UNSUPPORTED;
}

static enum dissect_result take_frames(struct cursor cursor, struct reassembly *crypto)
{
	enum dissect_result result = DISSECT_OK;

	while (cursor.captured > 0 && result == DISSECT_OK) {
		switch (*cursor_take(&cursor, 1)) {
		case FRAME_PADDING:
		case FRAME_PING:
			break;
		case FRAME_ACK:
			result = skip_ack(&cursor, false);
			break;
		case FRAME_ACK_ECN:
			result = skip_ack(&cursor, true);
			break;
		case FRAME_CRYPTO:
			result = take_crypto(&cursor, crypto);
			break;
		case FRAME_CLOSE: /* says why in text, and nothing follows that matters */
			return DISSECT_OK;
		default:
			return DISSECT_MALFORMED;
		}
	}
	return result;
}

enum dissect_result dissect_quic_read(struct dissect_quic *quic, const uint8_t *datagram,
	size_t length, const struct dissect_quic_secret *secret, struct reassembly *crypto)
{
	struct cursor cursor = {datagram, length, length};
	enum dissect_result result = DISSECT_OTHER;
	struct packet packet;
	size_t plain;

	if (length > DATAGRAM_MAX)
		return DISSECT_UNSUPPORTED;
	while (cursor.captured > 0 && take_packet(&cursor, &packet) == DISSECT_OK) {
		if (!packet.number)
			break; /* a Retry fills its datagram */
		if (!is_initial(&packet) || !open_packet(quic, secret, &packet, &plain))
			continue;
		result = take_frames((struct cursor){quic->plain, plain, plain}, crypto);
		if (result != DISSECT_OK)
			break;
	}
	return result;
}
