/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virtio.h"

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
#define FEATURE_ONE  1u /* VERSION_1, bit 32 */

static void write16(volatile uint8_t *at, uint16_t v)
{
	*(volatile uint16_t *)at = v;
}

static uint16_t read16(const volatile uint8_t *at)
{
	return *(const volatile uint16_t *)at;
}

static bool find_parts(const struct function *f, struct virtio *virtio)
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
			virtio->common = bar;
		else if (type == CAP_DEVICE)
			virtio->device = bar;
		else
			virtio->notify = bar;
		if (type == CAP_NOTIFY)
			virtio->factor = pci_read(f, at + CAP_FACTOR);
	}
	return virtio->common && virtio->notify && virtio->device;
}

bool virtio_begin(const struct function *f, struct virtio *virtio, uint32_t features)
{
	pci_enable(f);
	if (!find_parts(f, virtio))
		return false;
	virtio->common[DEVICE_STATUS] = 0;
	virtio->common[DEVICE_STATUS] = 3;
	write32(virtio->common + FEATURE_SELECT, 0);
	write32(virtio->common + FEATURE, features);
	write32(virtio->common + FEATURE_SELECT, 1);
	write32(virtio->common + FEATURE, FEATURE_ONE);
	virtio->common[DEVICE_STATUS] = STATUS_TALK;
	return virtio->common[DEVICE_STATUS] == STATUS_TALK;
}

void virtio_start(const struct virtio *virtio)
{
	virtio->common[DEVICE_STATUS] = STATUS_READY;
}

/* All of a ring is in one page: slots, then what is offered, then what was done. */
void virtio_make_queue(const struct virtio *virtio, struct virtio_queue *queue, uint16_t number)
{
	uint8_t *page = alloc_pages(1);
	volatile uint8_t *common = virtio->common;

	queue->number = number;
	queue->seen = 0;
	queue->slots = (void *)page;
	queue->available = (void *)(page + 1024);
	queue->used = (void *)(page + 2048);
	queue->ended = (void *)(page + 2048 + 4);
	write16(common + QUEUE_SELECT, number);
	write16(common + QUEUE_SIZE, VIRTIO_SLOTS);
	for (unsigned part = 0; part < 3; part++) {
		write32(common + QUEUE_DESCRIPTORS + 8 * part,
			(uint32_t)(uint64_t)page + 1024 * part);
		write32(common + QUEUE_DESCRIPTORS + 8 * part + 4, 0);
	}
	queue->doorbell = virtio->notify + read16(common + QUEUE_NOTIFY) * virtio->factor;
	write16(common + QUEUE_ENABLE, 1);
}

static void fill(struct virtio_queue *queue, uint16_t slot, void *memory, uint32_t size,
		 uint16_t flags)
{
	queue->slots[slot].address = (uint64_t)memory;
	queue->slots[slot].size = size;
	queue->slots[slot].flags = flags;
	queue->slots[slot].next = (uint16_t)(slot + 1);
}

static void hand_over(struct virtio_queue *queue, uint16_t slot)
{
	uint16_t index = queue->available[1];

	queue->available[2 + index % VIRTIO_SLOTS] = slot;
	barrier();
	queue->available[1] = (uint16_t)(index + 1);
	barrier();
	write16(queue->doorbell, queue->number);
}

void virtio_offer(struct virtio_queue *queue, uint16_t slot, void *memory, uint32_t size,
		  uint16_t flags)
{
	fill(queue, slot, memory, size, flags);
	hand_over(queue, slot);
}

uint32_t virtio_ask(struct virtio_queue *queue, void *request, uint32_t size, void *answer,
		    uint32_t room)
{
	fill(queue, 0, request, size, VIRTIO_NEXT);
	fill(queue, 1, answer, room, VIRTIO_WRITTEN);
	hand_over(queue, 0);
	if (!virtio_wait(queue, 20000))
		return 0;
	return queue->ended[queue->seen++ % VIRTIO_SLOTS].size;
}

bool virtio_wait(struct virtio_queue *queue, unsigned ms)
{
	for (unsigned waited = 0; queue->used[1] == queue->seen; waited += 5) {
		if (waited >= ms)
			return false;
		sleep_ms(5);
	}
	return true;
}
