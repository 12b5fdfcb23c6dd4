/* ClientHellos, TLS records and QUIC Initial packets put together for the tests of dissect. */
#ifndef LASTCONN_TESTS_HELLO_MAKE_H
#define LASTCONN_TESTS_HELLO_MAKE_H

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode/dissect_quic.h"
#include "frame_make.h"

struct hello {
	const char *name; /* NULL: without that extension; so the others */
	const char *alpn; /* in wire form, "\2h2" */
	int ech;          /* 0, or 1 and the type of ClientHello */
	size_t padding;   /* octets of an extension that stands first */
};

/* Begins something that is preceded by its length of so many octets; the end writes it. */
static inline size_t begin_vector(struct frame *frame, size_t length_octets)
{
	put_zero(frame, length_octets);
	return frame->length;
}

static inline void end_vector(struct frame *frame, size_t start, size_t length_octets)
{
	size_t length = frame->length - start;

	for (size_t i = 1; i <= length_octets; i++, length >>= 8)
		frame->octets[start - i] = (uint8_t)length;
}

static inline void put_extension(
	struct frame *frame, uint16_t type, const void *data, size_t length)
{
	put16(frame, type);
	put16(frame, (uint16_t)length);
	put(frame, data, length);
}

static inline void put_server_name(struct frame *frame, const char *name)
{
	size_t extension, list, host;

	put16(frame, 0);
	extension = begin_vector(frame, 2);
	list = begin_vector(frame, 2);
	put8(frame, 0);
	host = begin_vector(frame, 2);
	put(frame, name, strlen(name));
	end_vector(frame, host, 2);
	end_vector(frame, list, 2);
	end_vector(frame, extension, 2);
}

static inline void put_alpn(struct frame *frame, const char *alpn)
{
	size_t extension, list;

	put16(frame, 16);
	extension = begin_vector(frame, 2);
	list = begin_vector(frame, 2);
	put(frame, alpn, strlen(alpn));
	end_vector(frame, list, 2);
	end_vector(frame, extension, 2);
}

static inline void put_hello(struct frame *frame, const struct hello *hello)
{
	static const uint8_t zero[2048];
	size_t message, extensions;

	put8(frame, 1);
	message = begin_vector(frame, 3);
	put16(frame, 0x0303);
	put_zero(frame, 32);
	put(frame, "\4abcd", 5);               /* session */
	put(frame, "\0\4\x13\x01\x13\x02", 6); /* cipher suites */
	put(frame, "\1\0", 2);                 /* compression */
	extensions = begin_vector(frame, 2);
	if (hello->padding)
		put_extension(frame, 21, zero, hello->padding);
	put_extension(frame, 43, "\2\3\4", 3);
	if (hello->name)
		put_server_name(frame, hello->name);
	if (hello->alpn)
		put_alpn(frame, hello->alpn);
	if (hello->ech)
		put_extension(
			frame, 0xfe0d, hello->ech == 1 ? "\0\0\1" : "\1", hello->ech == 1 ? 3 : 1);
	end_vector(frame, extensions, 2);
	end_vector(frame, message, 3);
}

/* The message in records of at most so many octets each. */
static inline void put_records(struct frame *frame, const struct frame *message, size_t most)
{
	for (size_t at = 0; at < message->length; at += most) {
		size_t length = message->length - at < most ? message->length - at : most;

		put(frame, "\x16\3\1", 3);
		put16(frame, (uint16_t)length);
		put(frame, message->octets + at, length);
	}
}

static inline void put_varint(struct frame *frame, uint16_t value)
{
	put16(frame, 0x4000 | value);
}

static inline void put_crypto(
	struct frame *frame, const struct frame *message, size_t offset, size_t length)
{
	put8(frame, 6);
	put_varint(frame, (uint16_t)offset);
	put_varint(frame, (uint16_t)length);
	put(frame, message->octets + offset, length);
}

/* An Initial packet of version 1 to the connection id, with so many octets of padding behind the
 * frames; sealed with the secret, or with that of the connection id if it is NULL. */
static inline void put_initial(struct frame *frame, struct dissect_quic *quic,
	const char connection[static 8], const struct dissect_quic_secret *sealed_with,
	const struct frame *frames, size_t padding, uint8_t number)
{
	struct dissect_quic_secret secret;
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	uint8_t *start = frame->octets + frame->length, *sealed, nonce[12], mask[16];
	uint8_t plain[4096] = {0};
	size_t length = frames->length + padding, header;
	int out;

	put8(frame, 0xc0);
	put32(frame, 1);
	put8(frame, 8);
	put(frame, connection, 8);
	put16(frame, 0); /* no source connection id, no token */
	put_varint(frame, (uint16_t)(1 + length + 16));
	put8(frame, number);
	sealed = frame->octets + frame->length;
	header = (size_t)(sealed - start);
	put_zero(frame, length + 16);
	if (dissect_quic_secret(quic, start, header, &secret) != DISSECT_OK)
		abort(); /* in a release build, too */
	if (sealed_with)
		secret = *sealed_with;
	memcpy(plain, frames->octets, frames->length);
	memcpy(nonce, secret.iv, sizeof(nonce));
	nonce[11] ^= number;
	EVP_EncryptInit_ex(context, EVP_aes_128_gcm(), NULL, secret.key, nonce);
	EVP_EncryptUpdate(context, NULL, &out, start, (int)header);
	EVP_EncryptUpdate(context, sealed, &out, plain, (int)length);
	EVP_EncryptFinal_ex(context, sealed + length, &out);
	EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, sealed + length);
	EVP_EncryptInit_ex(context, EVP_aes_128_ecb(), NULL, secret.header_key, NULL);
	EVP_EncryptUpdate(context, mask, &out, sealed + 3, 16);
	start[0] ^= mask[0] & 0x0f;
	sealed[-1] ^= mask[1];
	EVP_CIPHER_CTX_free(context);
}

static inline void put_hex(struct frame *frame, const char *text)
{
	unsigned octet;

	for (; sscanf(text, "%2x", &octet) == 1; text += 2)
		put8(frame, (uint8_t)octet);
}

#endif
