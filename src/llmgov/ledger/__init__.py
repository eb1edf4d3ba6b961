"""Money: accounts, holds, leases and settlement, as arithmetic and as a protocol of two ends, without I/O."""
