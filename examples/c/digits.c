/* Reads an image of 8 by 8 values from 0 to 16, has the network tell which digit it is, and prints that. No Python anywhere.

   The device is the functional one here; on a board it would be a weft_device whose functions write the board's DRAM and registers. */
#include <stdio.h>

#include "digits.h"
#include "functional.h"

int main(void) {
    float image[DIGITS_INPUT_0_SIZE], logits[DIGITS_OUTPUT_0_SIZE];
    const void *inputs[DIGITS_INPUTS] = {image};
    void *outputs[DIGITS_OUTPUTS] = {logits};
    weft_device device;
    digits *network;
    int best = 0;

    for (int k = 0; k < DIGITS_INPUT_0_SIZE; k++) {
        if (scanf("%f", &image[k]) != 1) {
            fprintf(stderr, "an image is %d numbers\n", DIGITS_INPUT_0_SIZE);
            return 1;
        }
        image[k] /= 16;
    }
    if (weft_functional_open(&device, DIGITS_MEMORY_SIZE) != WEFT_OK) {
        fprintf(stderr, "no device\n");
        return 1;
    }
    int status = digits_create(&network, &device, 0, 0);
    if (status != WEFT_OK) {
        fprintf(stderr, "no network: status %d\n", status);
        return 1;
    }
    if (digits_run(network, inputs, outputs) != WEFT_OK) {
        fprintf(stderr, "%s\n", digits_message(network));
        return 1;
    }
    for (int k = 0; k < DIGITS_OUTPUT_0_SIZE; k++) {
        printf("%d: %a\n", k, logits[k]);
        if (logits[k] > logits[best])
            best = k;
    }
    printf("it is a %d\n", best);
    digits_destroy(network);
    device.close(device.context);
    return 0;
}
