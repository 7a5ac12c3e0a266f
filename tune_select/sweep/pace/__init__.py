"""When a sweep's trials look at their splits, report to the driver and are saved."""
