// A small machine with the accelerator's ports, for tests of the harness: copies `insn_count` blocks of 16 beats from
// `insn_address` to `out_base`. `wgt_base` asks for a fault: 1 FIXED burst, 2 a burst over a 4 KiB boundary, 3 araddr changes
// while it waits, 4 no wlast, 5 asks for nothing, 6 arsize is too small, 7 registers give no answer. BUS_BITS is replaced.
module accelerator(
  input clk, input rst, output reg irq,
  output [7:0] m_axi__awid, output [31:0] m_axi__awaddr, output [7:0] m_axi__awlen, output [2:0] m_axi__awsize,
  output [1:0] m_axi__awburst, output [3:0] m_axi__awcache, output [2:0] m_axi__awprot, output m_axi__awvalid, input m_axi__awready,
  output [BUS_BITS-1:0] m_axi__wdata, output [BUS_BITS/8-1:0] m_axi__wstrb, output m_axi__wlast, output m_axi__wvalid, input m_axi__wready,
  input [7:0] m_axi__bid, input [1:0] m_axi__bresp, input m_axi__bvalid, output m_axi__bready,
  output [7:0] m_axi__arid, output [31:0] m_axi__araddr, output [7:0] m_axi__arlen, output [2:0] m_axi__arsize,
  output [1:0] m_axi__arburst, output [3:0] m_axi__arcache, output [2:0] m_axi__arprot, output m_axi__arvalid, input m_axi__arready,
  input [7:0] m_axi__rid, input [BUS_BITS-1:0] m_axi__rdata, input [1:0] m_axi__rresp, input m_axi__rlast, input m_axi__rvalid, output m_axi__rready,
  input [7:0] s_axil__awaddr, input [2:0] s_axil__awprot, input s_axil__awvalid, output s_axil__awready,
  input [31:0] s_axil__wdata, input [3:0] s_axil__wstrb, input s_axil__wvalid, output s_axil__wready,
  output [1:0] s_axil__bresp, output reg s_axil__bvalid, input s_axil__bready,
  input [7:0] s_axil__araddr, input [2:0] s_axil__arprot, input s_axil__arvalid, output s_axil__arready,
  output reg [31:0] s_axil__rdata, output [1:0] s_axil__rresp, output reg s_axil__rvalid, input s_axil__rready,
  output reg trace__load__start, output reg trace__load__end, output trace__compute__start, output trace__compute__end,
  output reg trace__store__start, output reg trace__store__end
);
  localparam BYTES = BUS_BITS / 8, BLOCK = 16 * BYTES;
  localparam IDLE = 0, AR = 1, R = 2, AW = 3, W = 4, B = 5, FINISH = 6;
  reg [2:0] state;
  reg [31:0] cycles, count, source, target, mode, left, from, to;
  reg [4:0] beat;
  reg [BUS_BITS-1:0] block [0:15];
  reg waited;

  assign s_axil__awready = s_axil__wvalid & !s_axil__bvalid & mode != 7;
  assign s_axil__wready = s_axil__awvalid & !s_axil__bvalid & mode != 7;
  assign s_axil__arready = !s_axil__rvalid & mode != 7;
  assign s_axil__bresp = 0, s_axil__rresp = 0;
  wire write = s_axil__awvalid & s_axil__awready;
  wire launch = write & s_axil__awaddr == 8'h00 & s_axil__wdata[0];

  assign m_axi__arvalid = state == AR & mode != 5, m_axi__rready = state == R;
  assign m_axi__araddr = from + (mode == 3 && waited ? BYTES : 0) + (mode == 2 ? BLOCK / 2 : 0);
  assign m_axi__arid = 0, m_axi__arlen = 15, m_axi__arburst = mode == 1 ? 0 : 1, m_axi__arcache = 3, m_axi__arprot = 0;
  assign m_axi__arsize = $clog2(BYTES) - (mode == 6 ? 1 : 0);
  assign m_axi__awvalid = state == AW, m_axi__wvalid = state == W, m_axi__bready = state == B;
  assign m_axi__awaddr = to, m_axi__awid = 0, m_axi__awlen = 15, m_axi__awsize = $clog2(BYTES), m_axi__awburst = 1;
  assign m_axi__awcache = 3, m_axi__awprot = 0;
  assign m_axi__wdata = block[beat[3:0]], m_axi__wstrb = {BYTES{1'b1}}, m_axi__wlast = beat == 15 && mode != 4;

  // Pulses come from registers, as all that the harness samples: a cycle after what they tell of.
  always @(posedge clk) begin
    trace__load__start <= m_axi__arvalid & m_axi__arready;
    trace__load__end <= state == R & m_axi__rvalid & m_axi__rlast;
    trace__store__start <= state == AW & m_axi__awready;
    trace__store__end <= state == B & m_axi__bvalid;
  end
  assign trace__compute__start = state == FINISH & !irq, trace__compute__end = trace__compute__start;

  always @(posedge clk) begin
    if (state != IDLE && !irq) cycles <= cycles + 1;
    waited <= m_axi__arvalid & !m_axi__arready;
    if (s_axil__bready) s_axil__bvalid <= 0;
    if (s_axil__rready) s_axil__rvalid <= 0;
    if (write) begin
      s_axil__bvalid <= 1;
      case (s_axil__awaddr)
        8'h08: count <= s_axil__wdata;
        8'h0c: source <= s_axil__wdata;
        8'h18: mode <= s_axil__wdata;
        8'h20: target <= s_axil__wdata;
      endcase
    end
    if (s_axil__arvalid & s_axil__arready) begin
      s_axil__rvalid <= 1;
      s_axil__rdata <= s_axil__araddr == 8'h04 ? cycles : s_axil__araddr == 8'h00 ? {30'b0, irq, 1'b0} :
                       s_axil__araddr == 8'h18 ? mode : 0;
    end
    case (state)
      IDLE, FINISH: begin
        if (state == FINISH && !irq) irq <= 1;
        if (launch) begin
          state <= count == 0 ? FINISH : AR;
          irq <= 0; cycles <= 0; left <= count; from <= source; to <= target;
        end
      end
      AR: if (m_axi__arvalid & m_axi__arready) begin state <= R; beat <= 0; end
      R: if (m_axi__rvalid) begin
        block[beat[3:0]] <= m_axi__rdata;
        beat <= beat + 1;
        if (m_axi__rlast) state <= AW;
      end
      AW: if (m_axi__awready) begin state <= W; beat <= 0; end
      W: if (m_axi__wready) begin
        beat <= beat + 1;
        if (beat == 15) state <= B;
      end
      B: if (m_axi__bvalid) begin
        from <= from + BLOCK; to <= to + BLOCK; left <= left - 1;
        state <= left == 1 ? FINISH : AR;
      end
    endcase
    if (rst) begin
      state <= IDLE; irq <= 0; s_axil__bvalid <= 0; s_axil__rvalid <= 0; mode <= 0; cycles <= 0; waited <= 0;
    end
  end
endmodule
