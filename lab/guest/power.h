/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The end of a test guest. */
#ifndef LAB_GUEST_POWER_H
#define LAB_GUEST_POWER_H

/* Ends all programs, unmounts file systems and hands `command` (RB_POWER_OFF, RB_AUTOBOOT) to the
 * kernel.  Returns an exit status if that failed. */
int power_down(int command);

#endif
