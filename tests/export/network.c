/* A network wholly on the CPU, of one input and one output, called `net`: inputs from standard input one after the other, outputs to standard output. */
#include <stdio.h>

#include "net.h"

static unsigned char input[NET_INPUT_0_BYTES], output[NET_OUTPUT_0_BYTES];

int main(int count, char **arguments) {
    const void *inputs[NET_INPUTS] = {input};
    void *outputs[NET_OUTPUTS] = {output};
    net *network;

    if (net_create(&network, NULL, 0, count > 1 ? arguments[1][0] - '0' : 1))
        return 1;
    while (fread(input, 1, sizeof input, stdin) == sizeof input) {
        if (net_run(network, inputs, outputs))
            return 1;
        fwrite(output, 1, sizeof output, stdout);
    }
    net_destroy(network);
    return 0;
}
