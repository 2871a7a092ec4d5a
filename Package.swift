// swift-tools-version: 6.2
import PackageDescription

// LibTorch is found through one git-ignored folder of symbolic links, `.libtorch/`, which `make setup` fills:
// `.libtorch/torch` is the PyTorch package (include/, lib/), `.libtorch/nvidia` the wheels beside it, if any.
// A checkout that SwiftPM made for a package depending on this one has none; the links in the user's cache, which the
// set-up of any clone leaves there, serve it.
let isDependency = Context.packageDirectory.contains("/checkouts/")
let cache = Context.environment["XDG_CACHE_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil }
let libtorch =
  isDependency
  ? "\(cache ?? "\(Context.environment["HOME"] ?? "")/.cache")/ganglion/libtorch-2.11.0"
  : "\(Context.packageDirectory)/.libtorch"

// Flags that SwiftPM calls unsafe have no safe form, but for the place of LibTorch: with GANGLION_PKG_CONFIG=1 pkg-config
// tells it (`ganglion-libtorch.pc`, written by the set-up), and the package has no unsafe flag (Examples/README.md).
let usesPkgConfig = Context.environment["GANGLION_PKG_CONFIG"] == "1"

// Warnings are errors in every target of ours.
let swift: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

func unsafeC(_ flags: [String]) -> [CSetting] { usesPkgConfig ? [] : [.unsafeFlags(flags)] }
func unsafeCXX(_ flags: [String]) -> [CXXSetting] { usesPkgConfig ? [] : [.unsafeFlags(flags)] }

// -O2 also in debug builds: kernels at -O0 make tests minutes long.
let native = ["-O2", "-Wall", "-Wextra", "-Werror"]

// For targets that touch pixels one by one.
let optimized: [SwiftSetting] = usesPkgConfig ? [] : [.unsafeFlags(["-O"])]

// Torch's headers are system headers (their warnings are not ours), hence -isystem through unsafe flags.
let torchHeaders = [
  "-isystem", "\(libtorch)/torch/include",
  "-isystem", "\(libtorch)/torch/include/torch/csrc/api/include",
]

// The run-time path lets the built binaries find LibTorch without LD_LIBRARY_PATH.
let torchPath: [LinkerSetting] =
  usesPkgConfig
  ? []
  : [
    .unsafeFlags([
      "-L\(libtorch)/torch/lib",
      "-Xlinker", "-rpath", "-Xlinker", "\(libtorch)/torch/lib",
    ])
  ]
let torchLibraries: [LinkerSetting] =
  torchPath + [
    .linkedLibrary("torch_cpu"), .linkedLibrary("c10"), .linkedLibrary("m", .when(platforms: [.linux])),
  ]

let package = Package(
  name: "Ganglion",
  platforms: [.macOS(.v15)],
  products: [
    .library(
      name: "Ganglion",
      targets: [
        "Torch", "Layers", "Scan", "Backbones", "Downloads", "Data", "Evaluation", "Training", "Verification",
        "Analysis", "Reporting",
      ])
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    // Random numbers addressed by what they are for; knows nothing else.
    .target(name: "Randomness", swiftSettings: swift),
    // Scan kernels over pointers and strides; knows neither LibTorch nor Swift.
    .target(
      name: "CKernels", cxxSettings: unsafeCXX(native + ["-ffp-contract=fast"]),
      linkerSettings: [.linkedLibrary("m", .when(platforms: [.linux]))]),
    // CUDA kernels as text, NVRTC and the driver, both found at run time; knows neither LibTorch nor Swift.
    .target(
      name: "CCUDA", exclude: ["kernels"], cxxSettings: unsafeCXX(native),
      linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
    // The plain-C interface over LibTorch; the only files that include torch headers.
    .target(
      name: "CTorch", dependencies: ["CCUDA", "CKernels"] + (usesPkgConfig ? ["CLibTorch"] : []),
      cxxSettings: unsafeCXX(native + torchHeaders),
      linkerSettings: torchLibraries),
    // The checksum of zip archives; libpng needs zlib anyway.
    .systemLibrary(name: "CZlib"),
    .target(name: "Torch", dependencies: ["CCUDA", "CTorch", "CZlib", "Randomness"], swiftSettings: swift),
    .target(name: "Layers", dependencies: ["Randomness", "Torch"], swiftSettings: swift),
    .target(name: "Scan", dependencies: ["Torch"], swiftSettings: swift),
    .target(name: "Backbones", dependencies: ["Layers", "Scan", "Torch"], swiftSettings: swift),
    // Published weights from the web, and the folder that keeps them.
    .target(
      name: "Downloads",
      dependencies: ["Backbones", "Torch", .product(name: "Crypto", package: "swift-crypto")],
      swiftSettings: swift),
    // JPEG and PNG files: libjpeg-turbo and libpng behind one guarded C interface.
    .target(
      name: "CImage", cSettings: unsafeC(native),
      linkerSettings: [.linkedLibrary("jpeg"), .linkedLibrary("png")]),
    // -O also in debug builds, as for the native targets: pixels are touched one by one.
    .target(
      name: "Data", dependencies: ["CImage", "Randomness"], swiftSettings: swift + optimized),
    .target(name: "Evaluation", dependencies: ["Data", "Layers", "Torch"], swiftSettings: swift),
    .target(
      name: "Training",
      dependencies: [
        "Backbones", "Data", "Downloads", "Evaluation", "Layers", "Randomness", "Scan", "Torch", "Yams",
      ],
      swiftSettings: swift),
    // The authors' numbers against this build's.
    .target(
      name: "Verification", dependencies: ["Backbones", "Layers", "Scan", "Torch"], swiftSettings: swift),
    // What models and checkpoints are made of, and what the installation computes with.
    .target(
      name: "Analysis", dependencies: ["Backbones", "Data", "Layers", "Scan", "Torch"], swiftSettings: swift),
    // A run as a page to read.
    .target(
      name: "Reporting",
      dependencies: ["Analysis", "Backbones", "Data", "Evaluation", "Layers", "Scan", "Torch", "Training"],
      swiftSettings: swift),
    .executableTarget(
      name: "ganglion",
      dependencies: [
        "Analysis", "Backbones", "Data", "Downloads", "Evaluation", "Layers", "Reporting", "Scan", "Torch",
        "Training", "Verification",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: swift),

    .target(name: "TestSupport", dependencies: ["Torch"], path: "Tests/TestSupport", swiftSettings: swift),
    // The launchers of CUDA kernels once more, on the processor, for what they ask to be compiled.
    .target(
      name: "CUDALaunches", dependencies: ["CCUDA", "CKernels", "CTorch"], path: "Tests/CUDALaunches",
      exclude: ["emulated_kernels.inc"],
      cxxSettings: [.headerSearchPath("../CUDAEmulator"), .headerSearchPath("../../Sources/CCUDA/kernels")]
        + unsafeCXX(native + ["-Wno-unused-parameter"] + torchHeaders)),
    // The text of CUDA kernels as C++ for the processor, one block after the other.
    .target(
      name: "CUDAEmulator", dependencies: ["CKernels"], path: "Tests/CUDAEmulator",
      exclude: ["selective_scan_case.inc", "selective_scan_states.inc", "selective_scan_types.inc"],
      cxxSettings: [
        .headerSearchPath("../../Sources/CCUDA/kernels"), .headerSearchPath("../../Sources/CTorch"),
      ] + unsafeCXX(["-O0", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter"])),
    .testTarget(
      name: "CUDAKernelTests", dependencies: ["CUDAEmulator", "CUDALaunches", "Torch"], swiftSettings: swift),
    .testTarget(name: "CCUDATests", dependencies: ["CCUDA", "CUDALaunches"], swiftSettings: swift),
    .testTarget(name: "RandomnessTests", dependencies: ["Randomness"], swiftSettings: swift),
    .testTarget(
      name: "TorchTests", dependencies: ["Randomness", "Torch", "TestSupport"],
      resources: [.copy("Fixtures")],
      swiftSettings: swift),
    .testTarget(
      name: "LayersTests", dependencies: ["Layers", "Torch", "TestSupport"], resources: [.copy("Fixtures")],
      swiftSettings: swift),
    .testTarget(
      name: "ScanTests", dependencies: ["Scan", "Torch", "TestSupport"], resources: [.copy("Fixtures")],
      swiftSettings: swift),
    .testTarget(
      name: "BackbonesTests", dependencies: ["Backbones", "Layers", "Scan", "Torch", "TestSupport"],
      resources: [.copy("Fixtures")], swiftSettings: swift),
    .testTarget(
      name: "DownloadsTests", dependencies: ["Backbones", "Downloads", "TestSupport", "Torch"],
      swiftSettings: swift),
    .testTarget(
      name: "DataTests", dependencies: ["Data", "Randomness"], resources: [.copy("Fixtures")],
      swiftSettings: swift + optimized),
    .testTarget(
      name: "EvaluationTests", dependencies: ["Data", "Evaluation", "Layers", "Torch"], swiftSettings: swift),
    .testTarget(
      name: "TrainingTests",
      dependencies: ["Backbones", "Data", "Evaluation", "Layers", "TestSupport", "Torch", "Training"],
      swiftSettings: swift),
    .testTarget(
      name: "VerificationTests", dependencies: ["Verification", "Backbones", "Torch", "TestSupport"],
      swiftSettings: swift),
    .testTarget(
      name: "ReportingTests",
      dependencies: [
        "Analysis", "Backbones", "Data", "Evaluation", "Layers", "Reporting", "Scan", "TestSupport", "Torch",
        "Training",
      ],
      swiftSettings: swift),
    .testTarget(
      name: "ToolTests",
      dependencies: [
        "Analysis", "Backbones", "Data", "Downloads", "Layers", "TestSupport", "Torch", "ganglion",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: swift),
  ],
  swiftLanguageModes: [.v6],
  cxxLanguageStandard: .cxx17
)

if usesPkgConfig {
  package.targets.append(.systemLibrary(name: "CLibTorch", pkgConfig: "ganglion-libtorch"))
}
