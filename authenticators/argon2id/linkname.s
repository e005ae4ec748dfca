// Functions without a body are allowed only beside an assembly file.
