// Everything once, then the layer that takes most cycles.
drawHeadline();
drawCycles();
drawLayers();
drawLayerControls();
drawRoofline();
drawModules();
drawLosses();
drawTimelines().then(
  () => selection.choose(rows.length ? rows.reduce((a, b) => (b.cycles > a.cycles ? b : a)).index : null));
