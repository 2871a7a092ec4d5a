// Empty: the headers of LibTorch are C++, and only CTorch includes them.
