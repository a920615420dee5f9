/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A virtio device on PCI (virtio 1.2, 2.7 and 4.1): split rings, polled. */
#ifndef VIRTIO_H
#define VIRTIO_H

#include "payload.h"

#define VIRTIO_NEXT    1u /* more of the same request follows */
#define VIRTIO_WRITTEN 2u /* by the device */
#define VIRTIO_SLOTS   16u

struct virtio_slot {
	uint64_t address;
	uint32_t size;
	uint16_t flags, next;
};

struct virtio_used {
	uint32_t slot, size;
};

struct virtio_queue {
	volatile struct virtio_slot *slots;
	volatile uint16_t *available; /* flags, index, ring */
	volatile uint16_t *used;      /* flags, index */
	volatile struct virtio_used *ended;
	volatile uint8_t *doorbell;
	uint16_t number, seen;
};

struct virtio {
	volatile uint8_t *common, *notify, *device;
	uint32_t factor;
};

/* Found and talked to, with these of the first 32 features. Its queues come before its start. */
bool virtio_begin(const struct function *f, struct virtio *virtio, uint32_t features);
void virtio_make_queue(const struct virtio *virtio, struct virtio_queue *queue, uint16_t number);
void virtio_start(const struct virtio *virtio);

/* A request of one slot; its memory. */
void virtio_offer(struct virtio_queue *queue, uint16_t slot, void *memory, uint32_t size,
		  uint16_t flags);
/* One of two: what the device reads, and where it writes its answer; how much it wrote, or 0. */
uint32_t virtio_ask(struct virtio_queue *queue, void *request, uint32_t size, void *answer,
		    uint32_t room);
bool virtio_wait(struct virtio_queue *queue, unsigned ms);

#endif
