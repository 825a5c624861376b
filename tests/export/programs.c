/* Raw programs on the functional device. From standard input, one after the other: five numbers of 64 bits (size of DRAM, where the
   contents begin, how many bytes these are, where the instructions begin, how many these are), then the contents. To standard output:
   all of DRAM afterwards. */
#include <stdio.h>
#include <stdlib.h>

#include "functional.h"

int main(void) {
    uint64_t head[5];
    while (fread(head, 8, 5, stdin) == 5) {
        weft_device device;
        weft_bases none = {0, 0, 0, 0, 0, 0, 0};
        uint8_t *bytes = malloc(head[0] + 1);
        if (!bytes || weft_functional_open(&device, head[0]) || fread(bytes, 1, head[2], stdin) != head[2])
            return 1;
        if (device.write(device.context, head[1], bytes, head[2]) ||
            device.launch(device.context, head[3], (uint32_t)head[4], &none) || device.read(device.context, 0, bytes, head[0])) {
            fprintf(stderr, "%s\n", device.message(device.context));
            return 1;
        }
        fwrite(bytes, 1, head[0], stdout);
        device.close(device.context);
        free(bytes);
    }
    return 0;
}
