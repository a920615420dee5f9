/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A virtio network card (virtio 1.2, 4.1 and 5.1) that sends frames back to whom they came from.
 * Split rings, one each way, polled.
 */
#include "payload.h"

#define CAP_VENDOR  0x09
#define CAP_COMMON  1
#define CAP_NOTIFY  2
#define CAP_DEVICE  4
#define CAP_TYPE    3
#define CAP_BAR	    4
#define CAP_OFFSET  8
#define CAP_FACTOR  16
#define CAP_POINTER 0x34

#define FEATURE_SELECT	  0x08 /* the driver's */
#define FEATURE		  0x0c
#define DEVICE_STATUS	  0x14
#define QUEUE_SELECT	  0x16
#define QUEUE_SIZE	  0x18
#define QUEUE_ENABLE	  0x1c
#define QUEUE_NOTIFY	  0x1e
#define QUEUE_DESCRIPTORS 0x20

#define STATUS_READY 0x0f /* acknowledged, a driver, features, and it works */
#define STATUS_TALK  0x0b
#define FEATURE_MAC  (1u << 5)
#define FEATURE_ONE  1u /* VERSION_1, bit 32 */
#define WRITTEN	     2u /* by the device */

#define SLOTS	   16u
#define FRAME_SIZE 2048u
#define HEADER	   12u
#define MIN_FRAME  60u
/* IEEE's number for local experiments, 0x88b5, as it lies in the frame */
#define OUR_TYPE 0xb588
#define TYPE_AT	 12u
#define DATA_AT	 14u

struct slot {
	uint64_t address;
	uint32_t size;
	uint16_t flags, next;
};

struct used {
	uint32_t slot, size;
};

struct queue {
	volatile struct slot *slots;
	volatile uint16_t *available; /* flags, index, ring */
	volatile uint16_t *used;      /* flags, index */
	volatile struct used *ended;
	volatile uint8_t *doorbell;
	uint16_t number, seen;
};

struct card {
	volatile uint8_t *common, *notify, *device;
	uint32_t factor;
	struct queue in, out;
	uint8_t *frames[SLOTS];
	uint8_t *reply;
	uint8_t mac[6];
};

static void write16(volatile uint8_t *at, uint16_t v)
{
	*(volatile uint16_t *)at = v;
}

static uint16_t read16(const volatile uint8_t *at)
{
	return *(const volatile uint16_t *)at;
}

static bool find_parts(const struct function *f, struct card *card)
{
	for (unsigned at = pci_read8(f, CAP_POINTER); at; at = pci_read8(f, at + 1)) {
		uint8_t type = pci_read8(f, at + CAP_TYPE);
		volatile uint8_t *bar;

		if (pci_read8(f, at) != CAP_VENDOR ||
		    (type != CAP_COMMON && type != CAP_NOTIFY && type != CAP_DEVICE))
			continue;
		bar = pci_map_bar(f, pci_read8(f, at + CAP_BAR));
		if (!bar)
			return false;
		bar += pci_read(f, at + CAP_OFFSET);
		if (type == CAP_COMMON)
			card->common = bar;
		else if (type == CAP_DEVICE)
			card->device = bar;
		else
			card->notify = bar;
		if (type == CAP_NOTIFY)
			card->factor = pci_read(f, at + CAP_FACTOR);
	}
	return card->common && card->notify && card->device;
}

/* All of a ring is in one page: slots, then what is offered, then what was done. */
static void make_queue(struct card *card, struct queue *queue, uint16_t number)
{
	uint8_t *page = alloc_pages(1);
	volatile uint8_t *common = card->common;

	queue->number = number;
	queue->seen = 0;
	queue->slots = (void *)page;
	queue->available = (void *)(page + 1024);
	queue->used = (void *)(page + 2048);
	queue->ended = (void *)(page + 2048 + 4);
	write16(common + QUEUE_SELECT, number);
	write16(common + QUEUE_SIZE, SLOTS);
	for (unsigned part = 0; part < 3; part++) {
		write32(common + QUEUE_DESCRIPTORS + 8 * part,
			(uint32_t)(uint64_t)page + 1024 * part);
		write32(common + QUEUE_DESCRIPTORS + 8 * part + 4, 0);
	}
	queue->doorbell = card->notify + read16(common + QUEUE_NOTIFY) * card->factor;
	write16(common + QUEUE_ENABLE, 1);
}

static void offer(struct queue *queue, uint16_t slot, void *memory, uint32_t size, uint16_t flags)
{
	uint16_t index = queue->available[1];

	queue->slots[slot].address = (uint64_t)memory;
	queue->slots[slot].size = size;
	queue->slots[slot].flags = flags;
	queue->available[2 + index % SLOTS] = slot;
	barrier();
	queue->available[1] = (uint16_t)(index + 1);
	barrier();
	write16(queue->doorbell, queue->number);
}

static bool wait_used(struct queue *queue, unsigned ms)
{
	for (unsigned waited = 0; queue->used[1] == queue->seen; waited += 5) {
		if (waited >= ms)
			return false;
		sleep_ms(5);
	}
	return true;
}

static bool start(struct card *card)
{
	card->common[DEVICE_STATUS] = 0;
	card->common[DEVICE_STATUS] = 3;
	write32(card->common + FEATURE_SELECT, 0);
	write32(card->common + FEATURE, FEATURE_MAC);
	write32(card->common + FEATURE_SELECT, 1);
	write32(card->common + FEATURE, FEATURE_ONE);
	card->common[DEVICE_STATUS] = STATUS_TALK;
	if (card->common[DEVICE_STATUS] != STATUS_TALK)
		return false;
	make_queue(card, &card->in, 0);
	make_queue(card, &card->out, 1);
	card->common[DEVICE_STATUS] = STATUS_READY;
	for (unsigned n = 0; n < 6; n++)
		card->mac[n] = card->device[n];
	for (uint16_t n = 0; n < SLOTS; n++) {
		card->frames[n] = alloc_pages(1);
		offer(&card->in, n, card->frames[n], FRAME_SIZE, WRITTEN);
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
	offer(&card->out, 0, card->reply, HEADER + size, 0);
	if (!wait_used(&card->out, 2000))
		return false;
	card->out.seen++;
	return true;
}

static unsigned serve(struct card *card, unsigned wanted)
{
	unsigned count = 0;

	while (count < wanted && wait_used(&card->in, 120000)) {
		volatile struct used *used = &card->in.ended[card->in.seen++ % SLOTS];
		uint8_t *frame = card->frames[used->slot % SLOTS] + HEADER;
		uint32_t size = used->size - HEADER;

		if (used->size >= HEADER + MIN_FRAME && used->size <= FRAME_SIZE &&
		    is_ours(card, frame) && send_back(card, frame, size))
			count++;
		offer(&card->in, (uint16_t)used->slot, frame - HEADER, FRAME_SIZE, WRITTEN);
	}
	return count;
}

bool virtio_net_echo(const struct function *f)
{
	static struct card card;
	unsigned count = 0;
	bool is_up;

	pci_enable(f);
	is_up = find_parts(f, &card) && start(&card);
	print("guest: virtio-net 0000:%2x:%2x.%u start=%s mac=%2x:%2x:%2x:%2x:%2x:%2x\n", f->bus,
	      f->slot, f->fn, is_up ? "ok" : "BAD", card.mac[0], card.mac[1], card.mac[2],
	      card.mac[3], card.mac[4], card.mac[5]);
	if (is_up)
		count = serve(&card, (unsigned)options.net_echo);
	print("guest: virtio-net echoed=%u\n", count);
	return count == options.net_echo;
}
