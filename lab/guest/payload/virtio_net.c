/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A virtio network card (virtio 1.2, 5.1) that sends frames back to whom they came from. */
#include "virtio.h"

#define FEATURE_MAC (1u << 5)
#define FRAME_SIZE  2048u
#define HEADER	    12u
#define MIN_FRAME   60u
/* IEEE's number for local experiments, 0x88b5, as it lies in the frame */
#define OUR_TYPE 0xb588
#define TYPE_AT	 12u
#define DATA_AT	 14u

struct card {
	struct virtio virtio;
	struct virtio_queue in, out;
	uint8_t *frames[VIRTIO_SLOTS];
	uint8_t *reply;
	uint8_t mac[6];
};

static bool start(const struct function *f, struct card *card)
{
	if (!virtio_begin(f, &card->virtio, FEATURE_MAC))
		return false;
	virtio_make_queue(&card->virtio, &card->in, 0);
	virtio_make_queue(&card->virtio, &card->out, 1);
	virtio_start(&card->virtio);
	for (unsigned n = 0; n < 6; n++)
		card->mac[n] = card->virtio.device[n];
	for (uint16_t n = 0; n < VIRTIO_SLOTS; n++) {
		card->frames[n] = alloc_pages(1);
		virtio_offer(&card->in, n, card->frames[n], FRAME_SIZE, VIRTIO_WRITTEN);
	}
	card->reply = alloc_pages(1);
	return true;
}

/* Without a control queue the card hands on what a bridge sends to everyone. */
static bool is_ours(const struct card *card, const uint8_t *frame)
{
	for (unsigned n = 0; n < 6; n++)
		if (frame[n] != card->mac[n])
			return false;
	return *(const uint16_t *)(frame + TYPE_AT) == OUR_TYPE;
}

/* What came goes back with every byte inverted, so that it can't be the host's own echo. */
static bool send_back(struct card *card, const uint8_t *frame, uint32_t size)
{
	uint8_t *reply = card->reply + HEADER;

	memset(card->reply, 0, HEADER);
	memcpy(reply, frame + 6, 6);
	memcpy(reply + 6, card->mac, 6);
	memcpy(reply + TYPE_AT, frame + TYPE_AT, 2);
	for (uint32_t n = DATA_AT; n < size; n++)
		reply[n] = (uint8_t)~frame[n];
	virtio_offer(&card->out, 0, card->reply, HEADER + size, 0);
	if (!virtio_wait(&card->out, 2000))
		return false;
	card->out.seen++;
	return true;
}

static unsigned serve(struct card *card, unsigned wanted)
{
	unsigned count = 0;

	while (count < wanted && virtio_wait(&card->in, 120000)) {
		volatile struct virtio_used *used = &card->in.ended[card->in.seen++ % VIRTIO_SLOTS];
		uint8_t *frame = card->frames[used->slot % VIRTIO_SLOTS] + HEADER;
		uint32_t size = used->size - HEADER;

		if (used->size >= HEADER + MIN_FRAME && used->size <= FRAME_SIZE &&
		    is_ours(card, frame) && send_back(card, frame, size))
			count++;
		virtio_offer(&card->in, (uint16_t)used->slot, frame - HEADER, FRAME_SIZE,
			     VIRTIO_WRITTEN);
	}
	return count;
}

bool virtio_net_echo(const struct function *f)
{
	static struct card card;
	bool is_up = start(f, &card);
	unsigned count = 0;

	print("guest: virtio-net 0000:%2x:%2x.%u start=%s mac=%2x:%2x:%2x:%2x:%2x:%2x\n", f->bus,
	      f->slot, f->fn, is_up ? "ok" : "BAD", card.mac[0], card.mac[1], card.mac[2],
	      card.mac[3], card.mac[4], card.mac[5]);
	if (is_up)
		count = serve(&card, (unsigned)options.net_echo);
	print("guest: virtio-net echoed=%u\n", count);
	return count == options.net_echo;
}
