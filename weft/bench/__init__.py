"""Networks to measure with: published topologies, built whole and with seeded weights."""
